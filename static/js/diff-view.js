/**
 * A diff of many files made by the server: opens the file that a link of its index leads
 * to, and folds or unfolds all of them.
 *
 * @example see templates/runs/_diff.html
 */

class DiffView extends HTMLElement {
  connectedCallback() {
    this.addEventListener("click", (event) => this.#click(event));
    this.addEventListener("toggle", () => this.#name(), { capture: true });
    this.#name();
    if (location.hash) this.#open(location.hash.slice(1));
  }

  #click(event) {
    if (event.target.closest("[data-fold]")) this.#foldAll();
    const link = event.target.closest('a[href^="#"]');
    if (link) this.#open(link.hash.slice(1));
  }

  /** The browser itself scrolls to the head of the file and puts the focus there. */
  #open(id) {
    const head = this.querySelector(`summary#${CSS.escape(id)}`);
    if (head) head.parentElement.open = true;
  }

  /** What is not here yet is fetched when it is unfolded, so only what is here is. */
  #foldAll() {
    const isAnyOpen = this.#files.some((file) => file.open);
    for (const file of this.#files) {
      file.open = !isAnyOpen && file.querySelector("table, .diff-notes") !== null;
    }
  }

  #name() {
    const button = this.querySelector("[data-fold]");
    if (!button) return;
    button.hidden = false;
    const isAnyOpen = this.#files.some((file) => file.open);
    button.textContent = isAnyOpen ? "Fold all" : "Unfold all";
  }

  get #files() {
    return [...this.querySelectorAll("details.diff-file")];
  }
}

customElements.define("diff-view", DiffView);
