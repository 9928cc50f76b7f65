/**
 * The history: selecting runs, and rows that follow their runs' states.
 *
 * @example
 * <run-table><form id="bulk">… <tr data-run="…"><td data-live="status">…</td></tr></form></run-table>
 */

import { onWorkspaceNews } from "./workspace-socket.js";

/** Tells how many runs are selected, and asks before what can't be undone. */
class RunTable extends HTMLElement {
  connectedCallback() {
    this.form = this.querySelector("form");
    this.bar = this.querySelector("[data-bulk-bar]");
    this.all = this.querySelector("[data-select-all]");
    this.page = this.querySelector("[data-select-page]");
    this.addEventListener("change", (event) => this.changed(event));
    this.form.addEventListener("submit", (event) => this.confirm(event), { capture: true });
    // In a box it would press the first button of the form.
    this.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target.type === "checkbox") event.preventDefault();
    });
    this.show();
  }

  get boxes() {
    return [...this.querySelectorAll("input[name=run]")];
  }

  get count() {
    if (this.all.checked) return Number(this.all.dataset.total);
    return this.boxes.filter((box) => box.checked).length;
  }

  changed(event) {
    if (event.target === this.page || event.target === this.all) {
      for (const box of this.boxes) box.checked = event.target.checked;
    } else if (event.target.name === "run") {
      this.all.checked = false;
    }
    this.show();
  }

  show() {
    const { count, boxes } = this;
    this.page.checked = boxes.length > 0 && boxes.every((box) => box.checked);
    this.page.indeterminate = count > 0 && !this.page.checked;
    this.bar.toggleAttribute("data-none", count === 0);
    const words = `${count.toLocaleString()} run${count === 1 ? "" : "s"}`;
    this.words = words;
    this.querySelector("[data-selected]").textContent =
      count === 0 ? "Select runs to do something with them." : `${words} selected.`;
  }

  confirm(event) {
    const asking = event.submitter?.dataset.bulkConfirm;
    if (asking && !window.confirm(asking.replace("#", this.words))) event.preventDefault();
  }
}
customElements.define("run-table", RunTable);

/** Put the fresh live cells of `runs` (all if empty) into the rows that are shown. */
async function refreshRows(runs) {
  const rows = [...document.querySelectorAll("tr[data-run]")];
  const wanted = rows.filter((row) => runs.size === 0 || runs.has(row.dataset.run));
  if (wanted.length === 0) return;
  const answer = await fetch(location.href, { headers: { "HX-Request": "true" } });
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const row of wanted) {
    const id = CSS.escape(row.dataset.run);
    for (const cell of row.querySelectorAll("[data-live]")) {
      const same = `tr[data-run="${id}"] [data-live="${cell.dataset.live}"]`;
      const replacement = fresh.querySelector(same);
      if (replacement) cell.replaceChildren(...replacement.childNodes);
    }
  }
}

onWorkspaceNews((runs) => refreshRows(runs).catch(() => {}));

// An address that names only what is filtered is one that can be shared.
document.addEventListener("htmx:configRequest", (event) => {
  if (event.detail.elt.id !== "filters") return;
  const { parameters } = event.detail;
  for (const name of [...parameters.keys?.() ?? Object.keys(parameters)]) {
    if (parameters[name] === "" || (name === "sort" && parameters[name] === "-created")) {
      delete parameters[name];
    }
  }
});
