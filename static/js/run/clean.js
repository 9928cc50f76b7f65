/**
 * Takes out of HTML whatever in it could act, ask or style; the page's
 * Content-Security-Policy stands behind that.
 */

import DOMPurify from "../../vendor/dompurify/purify.js";

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
const TAG = /<[a-z][^<>]*>/gi;
const STYLES = /<style\b[^>]*>[^<]*<\/style>/gi;
const NOISY = /\s(?:on\w+|style)\s*=\s*(?:"[^"]*"|'[^']*'|[^\s>]*)/gi;

/**
 * @param {string} html
 * @returns {DocumentFragment}
 */
export function clean(html) {
  const shown = DOMPurify.sanitize(html, ALLOWED);
  shown.querySelectorAll("input").forEach(onlyTick);
  return shown;
}

/** A browser complains of these even in a document that DOMPurify still cleans. */
export function withoutNoise(html) {
  return html.replace(STYLES, "").replace(TAG, (tag) => tag.replace(NOISY, ""));
}

/** Let the link open another site, which is not told where it was. */
export function leadOut(link) {
  link.rel = "noopener noreferrer nofollow";
  link.target = "_blank";
}

export function linkTo(address, text) {
  const link = document.createElement("a");
  link.href = address;
  link.textContent = text;
  leadOut(link);
  return link;
}

/** Task lists have boxes; every other field could pose as the portal's. */
function onlyTick(field) {
  if (field.type === "checkbox") field.disabled = true;
  else field.remove();
}
