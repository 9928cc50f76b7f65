/**
 * Shows text as a terminal would: with its colours, and of a progress bar the last state.
 *
 * @example <ansi-text><pre>\x1b[31mred\x1b[0m</pre></ansi-text>
 */

import { PLAIN } from "../log/ansi.js";
import { fold } from "../log/lines.js";
import { styled } from "../log/paint.js";

class AnsiText extends HTMLElement {
  connectedCallback() {
    const pre = this.querySelector("pre");
    // eslint-disable-next-line no-control-regex
    if (!pre || !/[\0-\x08\x0b-\x1f]/.test(pre.textContent)) return;
    const pieces = [];
    let style = PLAIN;
    for (const line of pre.textContent.split("\n")) {
      const folded = fold(line, style);
      style = folded.style;
      pieces.push(...folded.spans.map((span) => styled(span)), "\n");
    }
    pieces.pop();
    pre.replaceChildren(...pieces);
  }
}

customElements.define("ansi-text", AnsiText);
