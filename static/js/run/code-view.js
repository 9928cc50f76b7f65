/**
 * Lines of code made by the server. A line's number links to it, with Shift to all from
 * the one linked before; the arrow keys go from number to number.
 *
 * @example see templates/runs/_preview.html and runs/code_lines.py
 */

const STEPS = { ArrowDown: 1, ArrowUp: -1, PageDown: 20, PageUp: -20 };
const FIRST = { Home: 1, End: Infinity };

class CodeView extends HTMLElement {
  connectedCallback() {
    this.addEventListener("click", (event) => this.#click(event));
    this.addEventListener("keydown", (event) => this.#key(event));
    const linked = this.#linked[0] ?? this.#named(location.hash.slice(1));
    linked?.scrollIntoView({ block: "center" });
    if (linked && !linked.ariaCurrent) this.#mark(this.#numberOf(linked));
  }

  get #linked() {
    return this.querySelectorAll("[aria-current]");
  }

  /** The row that an address without scripts names. */
  #named(id) {
    const row = id ? document.getElementById(id) : null;
    return this.contains(row) ? row : null;
  }

  #row(number) {
    return this.#named(`${this.dataset.name}-${number}`);
  }

  #numberOf(row) {
    return Number(row.firstElementChild.dataset.n);
  }

  #click(event) {
    const link = event.target.closest("a[data-n]");
    if (!link || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const number = Number(link.dataset.n);
    const others = [...this.#linked].map((row) => this.#numberOf(row));
    const from = event.shiftKey && others.length ? Math.min(...others) : number;
    this.#mark(Math.min(from, number), Math.max(from, number));
    this.#reach(link);
  }

  /** Show which lines are linked, here and in the page's address. */
  #mark(first, last = first) {
    for (const row of this.#linked) row.removeAttribute("aria-current");
    for (let number = first; number <= last; number += 1) {
      this.#row(number).ariaCurrent = "true";
    }
    const lines = first === last ? first : `${first}-${last}`;
    history.replaceState(history.state, "", `${this.dataset.page}&line=${lines}`);
  }

  #key(event) {
    const link = event.target.closest("a[data-n]");
    if (!link || event.altKey || event.ctrlKey || event.metaKey) return;
    const count = this.querySelectorAll("a[data-n]").length;
    const wanted = FIRST[event.key] ?? Number(link.dataset.n) + STEPS[event.key];
    if (Number.isNaN(wanted)) return;
    event.preventDefault();
    const row = this.#row(Math.min(Math.max(wanted, 1), count));
    this.#reach(row.firstElementChild);
  }

  /** Of all links, the Tab key reaches one. */
  #reach(link) {
    this.querySelector('a[tabindex="0"]').tabIndex = -1;
    link.tabIndex = 0;
    link.focus();
  }
}

customElements.define("code-view", CodeView);
