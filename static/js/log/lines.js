/**
 * Turns the text of a line into what is shown of it: pieces of styled text.
 *
 * Folded, a line looks as a terminal leaves it: a progress bar is one line that shows
 * its last state. Raw, every refresh stays visible and control characters get a sign.
 */

import { PLAIN, scan } from "./ansi.js";

/**
 * @typedef {object} Span
 * @property {string} text
 * @property {Style} style
 * @property {boolean} [breaks]  The text behind it began a new refresh.
 */

/** Of signs for what has no shape of its own. */
const SIGN = Object.freeze({ sign: true });

// No terminal is wider, and a cursor must not be sent to where memory ends.
const MAX_COLUMNS = 100_000;

/**
 * @param {string} text  A line without its newline.
 * @param {Style} [style]  The style left by the line before.
 * @returns {{spans: Span[], style: Style}}
 */
export function fold(text, style = PLAIN) {
  const astral = new AstralTable();
  const row = new Row();
  const end = scan(astral.pack(text), style, row);
  const spans = row.spans();
  for (const span of spans) span.text = astral.unpack(span.text);
  return { spans, style: end };
}

/** As `fold`, with every refresh and every control character shown. */
export function unfold(text, style = PLAIN) {
  const spans = [];
  const sign = (whole) =>
    spans.push({ text: signOf(whole), style: SIGN, breaks: whole === "\r" });
  const end = scan(text, style, {
    text: (piece, style) => spans.push({ text: piece, style }),
    control: sign,
    sequence: (_final, _parameters, whole) => sign(whole),
  });
  // The carriage return of "\r\n" belongs to the newline.
  if (text.endsWith("\r")) spans.pop();
  return { spans, style: end };
}

const NAMES = { "\0": "\\0", "\b": "\\b", "\r": "\\r", "\x1b": "\\e" };

/** Control characters as a programmer writes them; fonts often lack their pictures. */
function signOf(text) {
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\0-\x1f\x7f]/g, (character) => {
    const code = character.charCodeAt(0).toString(16).padStart(2, "0");
    return NAMES[character] ?? `\\x${code}`;
  });
}

/** One row of a terminal: runs of text, and a cursor that may go back. */
class Row {
  #runs = [];
  #length = 0;
  #column = 0;

  text(text, style) {
    const start = this.#column;
    const end = start + text.length;
    if (start === this.#length) {
      this.#runs.push({ text, style });
    } else if (start === 0 && end >= this.#length) {
      this.#runs = [{ text, style }];
    } else {
      this.#pad(start);
      const kept = this.#slice(0, start);
      this.#runs = [...kept, { text, style }, ...this.#slice(end, this.#length)];
    }
    this.#length = Math.max(this.#length, end);
    this.#column = end;
  }

  control(character) {
    if (character === "\r") this.#column = 0;
    else if (character === "\b") this.#column = Math.max(0, this.#column - 1);
    else if (character !== "\x07") this.text(signOf(character), SIGN);
  }

  sequence(final, parameters) {
    const count = Math.min(Number(parameters) || 0, MAX_COLUMNS);
    if (final === "K") this.#erase(count);
    else if (final === "G") this.#column = Math.max(0, count - 1);
    else if (final === "C") this.#move(Math.max(1, count));
    else if (final === "D") this.#move(-Math.max(1, count));
  }

  /** @returns {Span[]} */
  spans() {
    const spans = [];
    for (const { text, style } of this.#runs) {
      const last = spans.at(-1);
      if (last?.style === style) last.text += text;
      else if (text) spans.push({ text, style });
    }
    return spans;
  }

  #move(count) {
    this.#column = Math.min(Math.max(0, this.#column + count), MAX_COLUMNS);
  }

  #erase(what) {
    if (what === 2) this.#cut(0);
    else if (what === 0) this.#cut(this.#column);
    else if (what === 1) {
      const column = this.#column;
      this.#column = 0;
      this.text(" ".repeat(column), PLAIN);
    }
  }

  #cut(length) {
    if (length >= this.#length) return;
    this.#runs = this.#slice(0, length);
    this.#length = length;
  }

  #pad(length) {
    if (length <= this.#length) return;
    this.#runs.push({ text: " ".repeat(length - this.#length), style: PLAIN });
    this.#length = length;
  }

  #slice(from, to) {
    const found = [];
    let at = 0;
    for (const { text, style } of this.#runs) {
      const piece = text.slice(Math.max(0, from - at), Math.max(0, to - at));
      if (piece) found.push({ text: piece, style });
      at += text.length;
      if (at >= to) break;
    }
    return found;
  }
}

/**
 * Lets a character beyond U+FFFF, as an emoji, take one column.
 *
 * JavaScript counts it as two units. While a line is folded, one unit that no decoded
 * text contains (a lone surrogate) stands for it.
 */
class AstralTable {
  #characters = [];

  pack(text) {
    return text.replace(/[\ud800-\udbff][\udc00-\udfff]/g, (character) => {
      let index = this.#characters.indexOf(character);
      if (index < 0 && this.#characters.length < 0x400) {
        index = this.#characters.push(character) - 1;
      }
      return index < 0 ? character : String.fromCharCode(0xd800 + index);
    });
  }

  unpack(text) {
    if (!this.#characters.length) return text;
    return text.replace(
      /[\ud800-\udbff](?![\udc00-\udfff])/g,
      (unit) => this.#characters[unit.charCodeAt(0) - 0xd800] ?? unit,
    );
  }
}

/** What is shown of a line that may have been cut in its middle. */
export function shownSpans(line, { raw, style = PLAIN }) {
  const show = raw ? unfold : fold;
  if (line.e === undefined) return show(line.t, style);
  const refresh = raw ? -1 : line.e.indexOf("\r");
  if (refresh >= 0 && refresh < line.e.length - 1) {
    // A progress bar: its last refresh is all that a terminal would still show.
    return fold(line.e.slice(refresh + 1));
  }
  const head = show(line.t, style);
  const tail = show(line.e, head.style);
  const cut = { text: "", style: PLAIN, cut: line.n - PIECE * 2 };
  return { spans: [...head.spans, cut, ...tail.spans], style: tail.style };
}

/** The server cuts lines of more than two such pieces to the first and the last. */
export const PIECE = 8 * 1024;
