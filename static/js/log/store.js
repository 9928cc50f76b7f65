/**
 * The lines of a log, wherever they come from: fetched pages and the live tail.
 *
 * Whoever shows lines asks with `get` for what is here and says with `want` which lines
 * it shows; missing ones are fetched, and a `change` event tells that they have come.
 */

import { Tail } from "./tail.js";

const PAGE = 256;
// Characters of text that are kept in pages.
const KEPT = 8 * 1024 * 1024;
const MAX_FETCHES = 2;
// After a failure, and between two looks at an unfinished line that grows.
const RETRY_MS = 2000;
const LOOK_MS = 300;

export class LogStore extends EventTarget {
  #pages = new Map();
  #kept = 0;
  #fetches = new Map();
  #resting = new Map();
  #wanted = [0, 0];
  #later = 0;

  /** The size of the log in bytes and its number of lines, as far as is known. */
  size = 0;
  total = 0;
  /** Whether the log is complete. */
  final = false;
  /** What stands above the script's own lines, once that is known: see head.js. */
  head = null;
  /** Whether bytes behind the tail are about to come by themselves. */
  isStreaming = false;
  tail = new Tail();

  /**
   * @param {(start: number, count: number, signal?: AbortSignal) => Promise<object>}
   *   fetchLines  Asks the server; see runs/log_views.py for its answer.
   */
  constructor(fetchLines) {
    super();
    this.fetchLines = fetchLines;
  }

  /** The number of lines to show: none whose bytes are still on their way. */
  get count() {
    const isBehind = this.isStreaming && this.tail.end < this.size;
    return isBehind ? this.tail.total : this.total;
  }

  /** @returns {Line | undefined}  See tail.js. */
  get(number) {
    const live = this.tail.get(number);
    if (live && !this.#isStale(live)) return live;
    return this.#fetched(number) ?? live;
  }

  /** Have the lines from `first` up to and without `last` fetched if they miss. */
  want(first, last) {
    this.#wanted = [Math.max(0, first), last];
    for (const [page, fetch] of this.#fetches) {
      if (!this.#isWanted(page)) fetch.abort();
    }
    this.#look();
  }

  /** Ask for the last lines; says as well how large the log is and if it is complete. */
  async refresh() {
    const answer = await this.fetchLines(-PAGE, PAGE);
    this.#take(answer);
    return answer;
  }

  /** The log goes on at `offset`, in line `line`, without what may lie between. */
  beginTail(offset, line) {
    this.tail.begin(offset, line);
    this.#changed();
  }

  /** @returns {boolean} False if bytes are missing before `offset`. */
  append(offset, bytes) {
    if (!this.tail.append(offset, bytes)) return false;
    this.grow(this.tail.end, this.tail.total);
    return true;
  }

  /** The log has grown to `size` bytes and `total` lines. */
  grow(size, total) {
    if (size >= this.size) {
      this.size = size;
      this.total = Math.max(this.total, total);
    }
    this.#changed();
    this.#look();
  }

  /** The log was found damaged and begins anew: nothing of it is true any more. */
  reset() {
    for (const fetch of this.#fetches.values()) fetch.abort();
    this.#pages.clear();
    this.#kept = 0;
    this.size = this.total = 0;
    this.beginTail(0, 0);
  }

  finish(size) {
    this.final = true;
    this.grow(size, this.total);
  }

  close() {
    for (const timer of [this.#later, ...this.#resting.values()]) clearTimeout(timer);
    for (const fetch of this.#fetches.values()) fetch.abort();
  }

  #fetched(number) {
    const page = this.#pages.get(Math.floor(number / PAGE));
    return page?.lines[number % PAGE];
  }

  /** A line without a newline may have grown since. */
  #isStale(line) {
    return line.open && line.o + line.n < this.size;
  }

  #isMissing(number) {
    const line = this.get(number);
    return !line || this.#isStale(line);
  }

  #isWanted(page) {
    const [first, last] = this.#wanted;
    return page * PAGE < last && (page + 1) * PAGE > first;
  }

  /** Fetch what misses: soon, or a little later if it may just be on its way. */
  #look() {
    if (!this.isStreaming) this.#fetchMissing();
    else this.#later ||= setTimeout(() => this.#fetchMissing(), LOOK_MS);
  }

  #fetchMissing() {
    clearTimeout(this.#later);
    this.#later = 0;
    const [first, last] = this.#wanted;
    const end = Math.min(last, this.count);
    for (let number = first; number < end; number += 1) {
      if (this.#fetches.size >= MAX_FETCHES) return;
      const page = Math.floor(number / PAGE);
      const isBusy = this.#fetches.has(page) || this.#resting.has(page);
      if (isBusy) number = (page + 1) * PAGE - 1;
      else if (this.#isMissing(number)) this.#fetchPage(page, number);
    }
  }

  async #fetchPage(page, first) {
    const abort = new AbortController();
    this.#fetches.set(page, abort);
    try {
      const count = (page + 1) * PAGE - first;
      this.#take(await this.fetchLines(first, count, abort.signal));
      if (this.#isMissing(first)) this.#rest(page, LOOK_MS);
    } catch (error) {
      if (!abort.signal.aborted) {
        this.#rest(page, RETRY_MS);
        this.dispatchEvent(new CustomEvent("trouble", { detail: error }));
      }
    } finally {
      this.#fetches.delete(page);
      this.#fetchMissing();
    }
  }

  /** Don't ask for the page again at once. */
  #rest(page, milliseconds) {
    const wake = () => {
      this.#resting.delete(page);
      this.#fetchMissing();
    };
    this.#resting.set(page, setTimeout(wake, milliseconds));
  }

  #take({ start, lines, size, total, final, head }) {
    lines.forEach((line, index) => {
      const number = start + index;
      const open = line.o + line.n >= size;
      this.#put({ ...line, number, open });
    });
    this.final ||= final;
    this.head ??= head ?? null;
    this.grow(size, total);
  }

  #put(line) {
    const number = Math.floor(line.number / PAGE);
    const page = this.#pages.get(number) ?? { lines: [], kept: 0 };
    const length = line.t.length + (line.e?.length ?? 0);
    page.lines[line.number % PAGE] = line;
    page.kept += length;
    this.#kept += length;
    // Last in the map is last to be let go.
    this.#pages.delete(number);
    this.#pages.set(number, page);
    while (this.#kept > KEPT && this.#pages.size > 4) {
      const [oldest, { kept }] = this.#pages.entries().next().value;
      this.#pages.delete(oldest);
      this.#kept -= kept;
    }
    this.tail.setHead(line);
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
