/**
 * The end of a log as bytes from the socket, joined whatever their borders are.
 *
 * Old bytes are let go; their lines can be fetched again.
 */

import { PIECE } from "./lines.js";

const BLOCK = 256 * 1024;
const KEPT = 8 * 1024 * 1024;
const NEWLINE = 10;

/**
 * @typedef {object} Line
 * @property {number} number  Counted from 0.
 * @property {number} o  Its offset in the log.
 * @property {number} n  Its length in bytes, without the newline.
 * @property {string} t  Its text, or the beginning if it is long.
 * @property {string} [e]  The end of its text, if something was left out between.
 * @property {boolean} open  It has no newline yet.
 */

export class Tail {
  #blocks = [];
  #cache = new Map();
  // Of the first line: its start in the log, and its text up to where blocks begin.
  #headStart = 0;
  #headText = null;
  #headKnown = true;

  /** The offset of the first byte behind the tail, which is the next one wanted. */
  end = 0;
  /** The number of the line that this byte belongs to. */
  endLine = 0;
  /** The first line that is here, at least with its end. */
  firstLine = 0;

  constructor(kept = KEPT, block = BLOCK) {
    this.kept = kept;
    this.block = block;
  }

  /** Forget all and go on at `offset`, which is in line `line`. */
  begin(offset, line) {
    this.#blocks = [];
    this.#cache.clear();
    this.#headStart = offset;
    this.#headText = null;
    // At offset 0 a line starts; elsewhere one may have been cut.
    this.#headKnown = offset === 0;
    this.end = offset;
    this.endLine = this.firstLine = line;
  }

  /** Whether the tail has bytes at all, or starts where the log does. */
  get isEmpty() {
    return this.#blocks.length === 0;
  }

  /** The number of lines up to the end of the tail, an unfinished last one included. */
  get total() {
    return this.endLine + (this.end > this.#lineStart(this.endLine) ? 1 : 0);
  }

  /**
   * Add bytes; those that are here already are left out.
   *
   * @param {number} offset
   * @param {Uint8Array} bytes
   * @returns {boolean} False if bytes are missing before them; nothing was added then.
   */
  append(offset, bytes) {
    if (offset > this.end) return false;
    let rest = bytes.subarray(this.end - offset);
    while (rest.length) {
      const block = this.#room();
      const piece = rest.subarray(0, this.block - block.length);
      this.#add(block, piece);
      rest = rest.subarray(piece.length);
    }
    this.#letGo();
    return true;
  }

  /**
   * The line, or undefined if it is not here or its beginning is not.
   *
   * @param {number} number
   * @returns {Line | undefined}
   */
  get(number) {
    if (number < this.firstLine || number > this.endLine) return undefined;
    const cached = this.#cache.get(number);
    if (cached && (!cached.open || cached.o + cached.n === this.end)) return cached;
    const line = this.#make(number);
    if (!line) return undefined;
    if (this.#cache.size > 4000) this.#cache.clear();
    this.#cache.set(number, line);
    return line;
  }

  /** Tell where the first line starts, and how, if `get` could not know it. */
  setHead(line) {
    if (this.#headKnown || line.number !== this.firstLine) return;
    this.#headKnown = true;
    this.#headStart = line.o;
    if (line.o < this.#bytesStart) {
      this.#headText = decode(new TextEncoder().encode(line.t).subarray(0, PIECE), true);
    }
  }

  /** The offset of the first byte that is still here. */
  get #bytesStart() {
    return this.#blocks[0]?.offset ?? this.end;
  }

  #room() {
    const last = this.#blocks.at(-1);
    if (last && last.length < this.block) return last;
    const block = {
      offset: this.end,
      line: this.endLine,
      bytes: new Uint8Array(this.block),
      length: 0,
      newlines: [],
    };
    this.#blocks.push(block);
    return block;
  }

  #add(block, piece) {
    block.bytes.set(piece, block.length);
    let at = piece.indexOf(NEWLINE);
    for (; at >= 0; at = piece.indexOf(NEWLINE, at + 1)) {
      block.newlines.push(this.end + at);
    }
    block.length += piece.length;
    this.end += piece.length;
    this.endLine = block.line + block.newlines.length;
  }

  #letGo() {
    while ((this.#blocks.length - 1) * this.block > this.kept) {
      const [old, next] = this.#blocks;
      const inside = old.newlines.length === 0;
      if (!inside) {
        this.#headStart = old.newlines.at(-1) + 1;
        this.#headText = null;
        this.#headKnown = true;
        this.firstLine = next.line;
      }
      if (this.#headText === null && this.#headKnown) {
        this.#headText = decode(this.#bytes(this.#headStart, this.#headStart + PIECE));
      }
      this.#blocks.shift();
      this.#cache.clear();
    }
  }

  #make(number) {
    const start = this.#lineStart(number);
    const stop = this.#newline(number);
    const end = stop < 0 ? this.end : stop;
    const isLong = end - start > 2 * PIECE;
    if (start === this.end || (isLong && !this.#hasEnds(number, start, end))) {
      return undefined;
    }
    const line = { number, o: start, n: end - start, open: stop < 0 };
    if (!isLong) {
      if (start < this.#bytesStart) return undefined;
      return { ...line, t: decode(this.#bytes(start, end), line.open) };
    }
    const isWhole = start >= this.#bytesStart;
    const head = isWhole && decode(this.#bytes(start, start + PIECE), true);
    const tail = fromCharacter(this.#bytes(end - PIECE, end));
    return { ...line, t: head || this.#headText, e: decode(tail, line.open) };
  }

  /** Whether both ends of a long line are here. */
  #hasEnds(number, start, end) {
    if (number !== this.firstLine) return true;
    if (!this.#headKnown) return false;
    if (start >= this.#bytesStart) return true;
    return this.#headText !== null && end - PIECE >= this.#bytesStart;
  }

  #lineStart(number) {
    if (number === this.firstLine) return this.#headStart;
    return this.#newline(number - 1) + 1;
  }

  /** Where the newline at the end of line `number` is; -1 if it has none yet. */
  #newline(number) {
    let low = 0;
    let high = this.#blocks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#blocks[middle].line <= number) low = middle + 1;
      else high = middle;
    }
    const block = this.#blocks[low - 1];
    return block?.newlines[number - block.line] ?? -1;
  }

  #bytes(start, end) {
    const found = new Uint8Array(Math.max(0, Math.min(end, this.end) - start));
    for (const { offset, bytes, length } of this.#blocks) {
      const from = Math.max(start, offset);
      const to = Math.min(end, offset + length);
      if (from < to) found.set(bytes.subarray(from - offset, to - offset), from - start);
    }
    return found;
  }
}

const UTF8 = { ignoreBOM: true };

/** @param {boolean} [torn]  Leave out a character that is not whole at the end. */
function decode(bytes, torn = false) {
  return new TextDecoder("utf-8", UTF8).decode(bytes, { stream: torn });
}

/** Leave out the rest of a character that was cut at the start. */
function fromCharacter(bytes) {
  let torn = 0;
  while (torn < 3 && (bytes[torn] & 0xc0) === 0x80) torn += 1;
  return bytes.subarray(torn);
}
