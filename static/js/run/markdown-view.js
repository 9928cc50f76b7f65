/**
 * Shows the Markdown inside as it is meant to look. Whatever in it could act, ask or
 * style is taken out; the page's Content-Security-Policy stands behind that. Links and
 * pictures may name other files of the run, from the folder of the one shown.
 *
 * @example
 * <markdown-view data-file="/runs/digits_1/outputs/file/?name=outputs%2Freport.md">
 *   <pre># Title</pre>
 * </markdown-view>
 */

import { Marked } from "../../vendor/marked/marked.js";
import { clean, leadOut, linkTo, withoutNoise } from "./clean.js";
import { pathOf } from "./references.js";

const markdown = new Marked({
  gfm: true,
  renderer: { html: ({ text }) => withoutNoise(text) },
});

class MarkdownView extends HTMLElement {
  connectedCallback() {
    const source = this.querySelector("pre")?.textContent;
    if (source === undefined || this.isShown) return;
    this.isShown = true;
    this.own = new URL(this.dataset.file, location.href);
    const shown = clean(markdown.parse(source));
    shown.querySelectorAll("a[href]").forEach((link) => this.#lead(link));
    shown.querySelectorAll("img").forEach((image) => this.#picture(image));
    this.replaceChildren(shown);
  }

  #lead(link) {
    const reference = link.getAttribute("href");
    const path = pathOf(reference, this.own.searchParams.get("name"));
    if (path !== null) {
      const page = new URLSearchParams(location.search);
      page.set("file", path);
      link.href = `?${page}`;
    } else if (!reference.startsWith("#")) {
      leadOut(link);
    }
  }

  /** A picture of another site would tell it who looks: it becomes a link. */
  #picture(image) {
    const reference = image.getAttribute("src") ?? "";
    const path = pathOf(reference, this.own.searchParams.get("name"));
    if (path !== null) {
      const address = new URL(this.own);
      address.searchParams.set("name", path);
      address.searchParams.set("as", "image");
      image.src = address.href;
    } else if (!reference.startsWith("data:")) {
      image.replaceWith(instead(image, reference));
    }
  }
}

function instead(image, reference) {
  const text = image.alt || reference;
  return !reference || image.closest("a") ? text : linkTo(reference, text);
}

customElements.define("markdown-view", MarkdownView);
