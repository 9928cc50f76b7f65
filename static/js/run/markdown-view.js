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

import DOMPurify from "../../vendor/dompurify/purify.js";
import { Marked } from "../../vendor/marked/marked.js";
import { pathOf } from "./references.js";

const ALLOWED = {
  ALLOWED_TAGS: [
    ..."a b blockquote br code del dd details div dl dt em h1 h2 h3 h4 h5 h6 hr i".split(" "),
    ..."img input kbd li ol p pre s span strong sub summary sup".split(" "),
    ..."table tbody td th thead tr ul".split(" "),
  ],
  ALLOWED_ATTR: ["align", "alt", "checked", "disabled", "href", "src", "title", "type"],
  ALLOW_DATA_ATTR: false,
  // Their values are no addresses, and so not to be held against those allowed below.
  ADD_URI_SAFE_ATTR: ["align", "type"],
  // A few schemes, or none: a colon may come only after what can't be in a scheme.
  ALLOWED_URI_REGEXP:
    /^(?:https?:|mailto:|data:image\/(?:png|jpeg|gif|webp);|[^a-z:]|[a-z+.-]+(?:[^a-z+.:-]|$))/i,
  RETURN_DOM_FRAGMENT: true,
};
const TAG = /<[a-z][^>]*>/gi;
const NOISY = /\s(?:on\w+|style)\s*=\s*(?:"[^"]*"|'[^']*'|[^\s>]*)/gi;

const markdown = new Marked({ gfm: true, renderer: { html: ({ text }) => quiet(text) } });

/** A browser complains of these even in a document that DOMPurify still cleans. */
function quiet(html) {
  return html.replace(TAG, (tag) => tag.replace(NOISY, ""));
}

class MarkdownView extends HTMLElement {
  connectedCallback() {
    const source = this.querySelector("pre")?.textContent;
    if (source === undefined || this.isShown) return;
    this.isShown = true;
    this.own = new URL(this.dataset.file, location.href);
    const shown = DOMPurify.sanitize(markdown.parse(source), ALLOWED);
    shown.querySelectorAll("input").forEach(onlyTick);
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
      link.rel = "noopener noreferrer nofollow";
      link.target = "_blank";
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
  if (!reference || image.closest("a")) return text;
  const link = document.createElement("a");
  link.href = reference;
  link.rel = "noopener noreferrer nofollow";
  link.target = "_blank";
  link.textContent = text;
  return link;
}

/** Task lists have boxes; every other field could pose as the portal's. */
function onlyTick(field) {
  if (field.type === "checkbox") field.disabled = true;
  else field.remove();
}

customElements.define("markdown-view", MarkdownView);
