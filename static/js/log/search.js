/** A search on the server: hits come in pieces, from the top of the log down. */

// Hits that are loaded before the person is asked whether more are wanted.
const ENOUGH = 1000;

/**
 * @typedef {object} Hit
 * @property {number} line  Counted from 0.
 * @property {number} o  The offset of the match in the log.
 * @property {string} t  The text around the match.
 */

/** Sends `change` when hits have come or the state is another. */
export class LogSearch extends EventTarget {
  #abort = null;
  #going = null;
  #next = 0;

  query = "";
  matchCase = false;
  /** @type {Hit[]} */
  hits = [];
  /** The hit that was jumped to; -1 for none. */
  index = -1;
  isBusy = false;
  /** Why the search broke off, as a sentence. */
  trouble = "";

  /**
   * @param {(query: string, matchCase: boolean, from: number, signal: AbortSignal)
   *   => Promise<{hits: Hit[], next: number | null}>} ask
   * @param {() => number} sizeNow  Of the log.
   */
  constructor(ask, sizeNow) {
    super();
    this.ask = ask;
    this.sizeNow = sizeNow;
  }

  /** How much of the log has been searched, from 0 to 1. */
  get progress() {
    return Math.min(1, this.#next / Math.max(1, this.sizeNow()));
  }

  /** Whether there is more of the log to search. */
  get hasMore() {
    return this.#next < this.sizeNow();
  }

  start(query, matchCase) {
    this.stop();
    this.query = query;
    this.matchCase = matchCase;
    this.hits = [];
    this.index = -1;
    this.#next = 0;
    this.trouble = "";
    return query ? this.more() : this.#changed();
  }

  stop() {
    this.#abort?.abort();
    this.#abort = null;
    this.isBusy = false;
  }

  /** Go on until enough further hits have come or the log is searched. */
  more() {
    if (!this.isBusy) this.#going = this.#goOn();
    return this.#going;
  }

  async #goOn() {
    const abort = new AbortController();
    const wanted = this.hits.length + ENOUGH;
    this.#abort = abort;
    this.isBusy = true;
    this.trouble = "";
    this.#changed();
    try {
      while (this.hits.length < wanted && this.hasMore) await this.#piece(abort.signal);
    } catch (error) {
      if (!abort.signal.aborted) this.trouble = error.message;
    }
    if (abort.signal.aborted) return;
    this.isBusy = false;
    this.#changed();
  }

  /**
   * The hit after (or, for -1, before) the current one, or the nearest to `line` if
   * none is current; beyond the last follows the first. It waits for a search that may
   * still find it, and is null if there is none or if another search began meanwhile.
   */
  async step(direction, line) {
    const { hits } = this;
    if (this.#mayFindNearer(direction, line)) await this.more();
    const count = hits.length;
    if (!count || hits !== this.hits) return null;
    if (this.index >= 0) this.index = (this.index + direction + count) % count;
    else this.index = nearest(this.hits, line, direction);
    this.#changed();
    return this.hits[this.index];
  }

  #mayFindNearer(direction, line) {
    const last = this.hits.at(-1)?.line ?? -1;
    if (this.index < 0 && this.isBusy) return last < line;
    const isLast = this.index === this.hits.length - 1;
    return direction > 0 && isLast && this.hasMore;
  }

  async #piece(signal) {
    const size = this.sizeNow();
    const answer = await this.ask(this.query, this.matchCase, this.#next, signal);
    // A log that grows is searched again from where it ended: in a line, perhaps.
    const last = this.hits.at(-1)?.line ?? -1;
    this.hits.push(...answer.hits.filter((hit) => hit.line > last));
    this.#next = answer.next ?? Math.max(size, this.#next);
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

/** The first hit at or after `line`, or the last before it if going up; around else. */
export function nearest(hits, line, direction) {
  const after = hits.findIndex((hit) => hit.line >= line);
  if (direction > 0) return Math.max(0, after);
  return after > 0 ? after - 1 : hits.length - 1;
}
