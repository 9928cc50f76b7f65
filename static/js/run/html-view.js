/**
 * Shows HTML that a notebook has as an output: its text, tables and own pictures. What
 * is inside stays if nothing else of it may be shown.
 *
 * @example
 * <html-view data-html="&lt;table&gt;…&lt;/table&gt;"><pre>the same as text</pre></html-view>
 */

import { clean, leadOut, withoutNoise } from "./clean.js";

class HtmlView extends HTMLElement {
  connectedCallback() {
    const shown = clean(withoutNoise(this.dataset.html));
    // A picture of another site would tell it who looks, and one of this would be asked
    // for in the name of whoever looks.
    for (const image of shown.querySelectorAll("img")) {
      if (!image.getAttribute("src")?.startsWith("data:")) image.replaceWith(image.alt);
    }
    shown.querySelectorAll("a[href]").forEach(leadOut);
    if (shown.textContent.trim() || shown.querySelector("img")) {
      this.replaceChildren(shown);
    }
  }
}

customElements.define("html-view", HtmlView);
