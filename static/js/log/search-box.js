/** The search box of the log, its count of hits and the list of them. */

import { fold } from "./lines.js";
import { formatCount, formatPlural } from "./format.js";
import { withMatches } from "./matches.js";

const TYPING_MS = 250;
// More entries would slow the page down; the arrows still reach all hits.
const LISTED = 1000;

export class SearchBox {
  #timer = 0;
  #listed = [];

  /**
   * @param {(name: string) => HTMLElement} part  The parts of the log view.
   * @param {LogSearch} search
   * @param {{show: (line: number) => void, query: () => void, leave: () => void,
   *          firstLine: () => number}} view
   */
  constructor(part, search, view) {
    Object.assign(this, { part, search, view });
    part("query").addEventListener("input", () => this.#typed());
    part("query").addEventListener("keydown", (event) => this.#key(event));
    part("search").addEventListener("submit", (event) => event.preventDefault());
    part("match-case").addEventListener("click", () => this.#toggleCase());
    part("next-hit").addEventListener("click", () => this.#step(1));
    part("previous-hit").addEventListener("click", () => this.#step(-1));
    part("hit-count").addEventListener("click", () => this.#toggleList());
    part("more-hits").addEventListener("click", () => search.more());
    part("hits").addEventListener("click", (event) => this.#picked(event));
    search.addEventListener("change", () => this.#paint());
    this.#paint();
  }

  focus() {
    this.part("query").focus();
    this.part("query").select();
  }

  #typed() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#start(), TYPING_MS);
  }

  #start() {
    clearTimeout(this.#timer);
    const matchCase = this.part("match-case").getAttribute("aria-pressed") === "true";
    const started = this.search.start(this.part("query").value, matchCase);
    this.view.query();
    return started;
  }

  #key(event) {
    if (event.key === "Enter") {
      event.preventDefault();
      this.#step(event.shiftKey ? -1 : 1);
    } else if (event.key === "Escape") {
      event.preventDefault();
      this.part("query").value = "";
      this.#start();
      this.view.leave();
    }
  }

  #toggleCase() {
    const button = this.part("match-case");
    const pressed = button.getAttribute("aria-pressed") === "true";
    button.setAttribute("aria-pressed", String(!pressed));
    this.#start();
  }

  #toggleList() {
    const list = this.part("hits");
    list.hidden = !list.hidden;
    this.#paint();
  }

  async #step(direction) {
    if (this.part("query").value !== this.search.query) await this.#start();
    const hit = await this.search.step(direction, this.view.firstLine());
    if (hit) this.view.show(hit.line);
  }

  #picked(event) {
    const button = event.target.closest("[data-hit]");
    if (!button) return;
    this.search.index = Number(button.dataset.hit);
    this.view.show(this.search.hits[this.search.index].line);
    this.#paint();
  }

  #paint() {
    const { search, part } = this;
    const found = search.hits.length > 0;
    part("next-hit").disabled = part("previous-hit").disabled = !found;
    part("hit-count").disabled = !found;
    // While it is busy, nobody is read each step of the progress.
    part("hit-count").setAttribute("aria-busy", String(search.isBusy));
    part("hit-count").textContent = countText(search);
    if (!found) part("hits").hidden = true;
    part("hit-count").setAttribute("aria-expanded", String(!part("hits").hidden));
    part("more-hits").hidden = search.isBusy || !search.hasMore;
    if (!part("hits").hidden) this.#list();
  }

  #list() {
    const list = this.part("hit-list");
    const hits = this.search.hits.slice(0, LISTED);
    const [first] = hits;
    // Hits are only ever added, unless another search has begun.
    if (this.#listed[0] !== first) list.replaceChildren();
    for (let index = list.childElementCount; index < hits.length; index += 1) {
      list.append(this.#entry(hits[index], index));
    }
    this.#listed = hits;
    list.querySelector("[aria-current]")?.removeAttribute("aria-current");
    const current = list.children[this.search.index]?.firstElementChild;
    current?.setAttribute("aria-current", "true");
    current?.scrollIntoView({ block: "nearest" });
  }

  #entry(hit, index) {
    const entry = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "log-hit";
    button.dataset.hit = index;
    const number = document.createElement("span");
    number.className = "log-hit__line";
    number.textContent = formatCount(hit.line + 1);
    const text = document.createElement("span");
    text.className = "log-hit__text";
    text.append(...snippet(hit.t, this.search));
    button.append(number, text);
    entry.append(button);
    return entry;
  }
}

function snippet(text, { query, matchCase }) {
  // What a progress bar overwrote may be what was found.
  const { spans } = fold(text.replaceAll("\r", " "));
  return withMatches(spans, query, matchCase).map((span) => {
    if (!span.match) return span.text;
    const mark = document.createElement("mark");
    mark.textContent = span.text;
    return mark;
  });
}

/** What is said about the number of hits. */
export function countText({ query, hits, index, isBusy, hasMore, progress, trouble }) {
  if (!query) return "";
  if (trouble) return trouble;
  const lines = formatPlural(hits.length, "line").replace(" ", hasMore ? "+ " : " ");
  if (index >= 0) return `${formatCount(index + 1)} of ${lines}`;
  if (isBusy) return `${lines}, ${Math.floor(progress * 100)} %`;
  return hits.length ? lines : "No line";
}
