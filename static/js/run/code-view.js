/**
 * Lines of code made by the server. A line's number links to it, with Shift to all from
 * the one linked before; the arrow keys go from number to number.
 *
 * @example see templates/runs/_preview.html and runs/code_lines.py
 */

const STEPS = { ArrowDown: 1, ArrowUp: -1, PageDown: 20, PageUp: -20 };
const ENDS = { Home: 1, End: Infinity };

class CodeView extends HTMLElement {
  #rows = [];

  connectedCallback() {
    this.#rows = [...this.querySelectorAll("pre > span > span")];
    this.addEventListener("click", (event) => this.#click(event));
    this.addEventListener("keydown", (event) => this.#key(event));
    const linked = this.#linked[0] ?? this.#namedByFragment();
    linked?.scrollIntoView({ block: "center" });
  }

  get #linked() {
    return this.querySelectorAll("[aria-current]");
  }

  /** An address that was made without scripts says the line in another way. */
  #namedByFragment() {
    const [name, number] = location.hash.slice(1).split("-");
    const row = name === this.dataset.name ? this.#rows[number - 1] : undefined;
    if (row) this.#mark(Number(number));
    return row;
  }

  #click(event) {
    const link = event.target.closest("a[data-n]");
    if (!link || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const number = numberOf(link);
    const from = event.shiftKey ? this.#linked[0]?.firstElementChild : undefined;
    const ends = [from ? numberOf(from) : number, number];
    this.#mark(Math.min(...ends), Math.max(...ends));
    this.#reach(link);
  }

  /** Show which lines are linked, here and in the page's address. */
  #mark(first, last = first) {
    for (const row of this.#linked) row.removeAttribute("aria-current");
    for (const row of this.#rows.slice(first - 1, last)) row.ariaCurrent = "true";
    const lines = first === last ? first : `${first}-${last}`;
    history.replaceState(history.state, "", `${this.dataset.page}&line=${lines}`);
  }

  #key(event) {
    const link = event.target.closest("a[data-n]");
    if (!link || event.altKey || event.ctrlKey || event.metaKey) return;
    const wanted = ENDS[event.key] ?? numberOf(link) + STEPS[event.key];
    if (Number.isNaN(wanted)) return;
    event.preventDefault();
    const number = Math.min(Math.max(wanted, 1), this.#rows.length);
    this.#reach(this.#rows[number - 1].firstElementChild);
  }

  /** Of all links, the Tab key reaches one. */
  #reach(link) {
    this.querySelector('a[tabindex="0"]').tabIndex = -1;
    link.tabIndex = 0;
    link.focus();
  }
}

function numberOf(link) {
  return Number(link.dataset.n);
}

customElements.define("code-view", CodeView);
