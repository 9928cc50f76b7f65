/**
 * A tree of files made by the server. Keeps folders as they were opened when the tree
 * is fetched again, and moves through it with the arrow keys.
 *
 * @example see templates/runs/_files.html
 */

class FileTree extends HTMLElement {
  #folders = new Map();

  connectedCallback() {
    this.addEventListener("toggle", (event) => this.#toggled(event), { capture: true });
    this.addEventListener("click", (event) => this.#clicked(event));
    this.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Fetch the tree, and the file beside it if that has changed. */
  async refresh() {
    const file = this.#current;
    const focused = this.contains(document.activeElement)
      ? document.activeElement.closest("[data-path]")?.dataset.path
      : undefined;
    const scrolled = this.querySelector(".files-list")?.scrollTop ?? 0;
    const address = `${this.dataset.url}?file=${file?.dataset.path ?? ""}`;
    await htmx.ajax("GET", address, { target: this, swap: "innerHTML" });
    this.#restore(scrolled, focused);
    const now = this.#current;
    if (now && now.dataset.version !== file?.dataset.version) this.#fetch(now);
  }

  get #current() {
    return this.querySelector("a[aria-current]");
  }

  /** The file again, rendered or its source as before. */
  #fetch(link) {
    const target = document.getElementById(`file-${this.dataset.kind}`);
    const [view] = location.search.match(/&view=[^&]*/) ?? [""];
    const address = link.getAttribute("hx-get") + view;
    htmx.ajax("GET", address, { target, swap: "innerHTML" });
  }

  #restore(scrolled, focused) {
    for (const folder of this.querySelectorAll("details[data-path]")) {
      const isOpen = this.#folders.get(folder.dataset.path);
      if (isOpen === undefined || isOpen === folder.open) continue;
      folder.open = isOpen;
      const summary = folder.querySelector("summary[hx-get]");
      if (isOpen && summary) htmx.trigger(summary, "click");
    }
    const list = this.querySelector(".files-list");
    if (list) list.scrollTop = scrolled;
    if (focused !== undefined) {
      const place = this.querySelector(`[data-path="${CSS.escape(focused)}"]`);
      (place?.querySelector("summary") ?? place)?.focus({ preventScroll: true });
    }
  }

  #toggled(event) {
    const folder = event.target.closest("details[data-path]");
    if (folder) this.#folders.set(folder.dataset.path, folder.open);
  }

  #clicked(event) {
    const link = event.target.closest("a[data-path]");
    if (!link) return;
    this.#current?.removeAttribute("aria-current");
    link.ariaCurrent = "true";
  }

  #key(event) {
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    const row = event.target.closest(".file-row");
    if (!row) return;
    if (event.key in steps) {
      event.preventDefault();
      const rows = [...this.querySelectorAll("a.file-row, summary.file-row")].filter(
        (each) => each.checkVisibility(),
      );
      rows[rows.indexOf(row) + steps[event.key]]?.focus();
    } else if (event.key === "ArrowRight" && row.matches("summary")) {
      if (!row.parentElement.open) row.click();
    } else if (event.key === "ArrowLeft") {
      const open = row.closest("details[open]");
      open?.querySelector("summary").click();
      open?.querySelector("summary").focus();
    }
  }
}

customElements.define("file-tree", FileTree);
