/**
 * Shows the Markdown inside as it is meant to look. Whatever in it could act, ask or
 * style is taken out; the page's Content-Security-Policy stands behind that.
 *
 * @example <markdown-view><pre># Title</pre></markdown-view>
 */

import DOMPurify from "../../vendor/dompurify/purify.js";
import { marked } from "../../vendor/marked/marked.js";

const ALLOWED = {
  ALLOWED_TAGS: [
    ..."a b blockquote br code del dd details div dl dt em h1 h2 h3 h4 h5 h6 hr i".split(" "),
    ..."img input kbd li ol p pre s span strong sub summary sup".split(" "),
    ..."table tbody td th thead tr ul".split(" "),
  ],
  ALLOWED_ATTR: ["align", "alt", "checked", "disabled", "href", "src", "title", "type"],
  ALLOW_DATA_ATTR: false,
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:|#|data:image\/(?:png|jpeg|gif|webp);)/i,
  RETURN_DOM_FRAGMENT: true,
};

class MarkdownView extends HTMLElement {
  connectedCallback() {
    const source = this.querySelector("pre")?.textContent;
    if (source === undefined || this.isShown) return;
    this.isShown = true;
    const shown = DOMPurify.sanitize(marked.parse(source, { gfm: true }), ALLOWED);
    shown.querySelectorAll("input").forEach(onlyTick);
    shown.querySelectorAll("a").forEach(leadElsewhere);
    this.replaceChildren(shown);
  }
}

/** Task lists have boxes; every other field could pose as the portal's. */
function onlyTick(field) {
  if (field.type === "checkbox") field.disabled = true;
  else field.remove();
}

function leadElsewhere(link) {
  link.rel = "noopener noreferrer nofollow";
  if (!link.getAttribute("href")?.startsWith("#")) link.target = "_blank";
}

customElements.define("markdown-view", MarkdownView);
