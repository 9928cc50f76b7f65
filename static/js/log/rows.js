/**
 * Builds the row of a line: its number and its styled text. Above all there may be a
 * head, which hides or shows some of them (head.js).
 *
 * Everything from the log becomes text nodes; nothing of it is ever parsed as HTML.
 */

import { PLAIN, resetsStyle, styleAfter } from "./ansi.js";
import { formatBytes, formatPlural } from "./format.js";
import { shownSpans } from "./lines.js";
import { withMatches } from "./matches.js";
import { styled } from "./paint.js";

// How far back the colour of a line may have been set.
const LOOK_BACK = 200;

export class Rows {
  #painted = new WeakMap();
  #style = PLAIN;

  /** Sees progress bars as they were written. */
  raw = false;
  /** What is searched for, to be marked. */
  query = "";
  matchCase = false;
  /** The lines of the page's address. */
  selected = null;
  /** The line of the hit that was jumped to. */
  current = -1;
  /** @type {import("./head.js").Head | null} */
  head = null;

  /** @param {LogStore} store @param {string} rawAddress  Where the download is. */
  constructor(store, rawAddress) {
    this.store = store;
    this.rawAddress = rawAddress;
  }

  count() {
    return this.head?.rows(this.store.count) ?? this.store.count;
  }

  lineOf(row) {
    return this.head?.lineOf(row) ?? row;
  }

  rowOf(line) {
    return this.head?.rowOf(line) ?? line;
  }

  begin(first, last) {
    const margin = last - first;
    const begin = this.lineOf(this.head ? Math.max(first, 1) : first);
    this.store.want(begin - margin, this.lineOf(last) + margin);
    this.#style = styleBefore(this.store, begin);
  }

  /** Fill `element`, unless it shows just that already. */
  paint(element, row) {
    const number = this.lineOf(row);
    element.classList.toggle("log-row--head", number < 0);
    if (number < 0) this.#paintHead(element);
    else this.#paintLine(element, number);
  }

  #paintHead(element) {
    const { title, lines, isFolded } = this.head;
    let piece = element.querySelector(".log-head");
    if (!piece) {
      piece = document.createElement(lines ? "button" : "strong");
      piece.className = "log-head";
      element.replaceChildren(piece);
      element.classList.remove("log-row--missing", "log-row--selected", "log-row--current");
      this.#painted.delete(element);
    }
    const text = lines ? `${title} — ${formatPlural(lines, "line")}` : title;
    if (piece.textContent !== text) piece.textContent = text;
    if (!lines) return;
    Object.assign(piece, { type: "button", title: "Show or hide these lines (e)" });
    piece.setAttribute("aria-expanded", String(!isFolded));
    piece.setAttribute("aria-keyshortcuts", "e");
  }

  #paintLine(element, number) {
    const line = this.store.get(number);
    const before = this.#style;
    const look = `${this.raw}|${this.query}|${this.matchCase}|${JSON.stringify(before)}`;
    let done = this.#painted.get(element);
    if (!done || done.line !== line || done.look !== look) {
      const { spans, style } = this.#spansOf(line, before);
      element.replaceChildren(numberLink(number), this.#text(spans));
      done = { line, look, style };
      this.#painted.set(element, done);
    }
    this.#style = done.style;
    element.classList.toggle("log-row--missing", !line);
    element.classList.toggle("log-row--selected", this.#isSelected(number));
    element.classList.toggle("log-row--current", number === this.current);
  }

  #isSelected(number) {
    const { selected } = this;
    return selected !== null && number >= selected.first && number <= selected.last;
  }

  #spansOf(line, style) {
    if (!line) return { spans: [], style: PLAIN };
    const shown = shownSpans(line, { raw: this.raw, style });
    if (!this.query) return shown;
    const spans = withMatches(shown.spans, this.query, this.matchCase);
    return { spans, style: shown.style };
  }

  #text(spans) {
    const text = document.createElement("span");
    text.className = "log-row__text";
    text.append(...spans.map((span) => this.#piece(span)));
    return text;
  }

  #piece(span) {
    if (span.cut) return this.#cutNote(span.cut);
    return styled(span);
  }

  #cutNote(bytes) {
    const note = document.createElement("a");
    note.className = "log-row__cut";
    note.href = this.rawAddress;
    note.textContent =
      `${formatBytes(bytes)} of this line are not shown: download the raw log`;
    return note;
  }
}

/** The style that the lines before line `number` have left, as far as they are here. */
function styleBefore(store, number) {
  let first = number;
  while (first > Math.max(0, number - LOOK_BACK)) {
    const line = store.get(first - 1);
    if (!line) break;
    first -= 1;
    if (resetsStyle(line.e ?? line.t)) break;
  }
  let style = PLAIN;
  for (; first < number; first += 1) {
    const line = store.get(first);
    style = styleAfter(line.e ?? line.t, style);
  }
  return style;
}

function numberLink(number) {
  const link = document.createElement("a");
  link.className = "log-row__number";
  link.href = `#L${number + 1}`;
  link.tabIndex = -1;
  link.textContent = number + 1;
  return link;
}
