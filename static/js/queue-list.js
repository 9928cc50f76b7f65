/**
 * The queue of a compute target: shown anew when it changes, and put into another order
 * by dragging a run. What the drop says is sent as the buttons of the rows say it.
 *
 * @example
 * <queue-list data-target="1" data-refresh="/compute/local/queue/">
 *   <section id="queue"> … <tr data-run="…" data-place="2" draggable="true"> …
 * </queue-list>
 */

import { onWorkspaceNews } from "./workspace-socket.js";

class QueueList extends HTMLElement {
  connectedCallback() {
    this.addEventListener("dragstart", (event) => this.#begin(event));
    this.addEventListener("dragover", (event) => this.#over(event));
    this.addEventListener("drop", (event) => this.#drop(event));
    this.addEventListener("dragend", () => this.#end());
    this.addEventListener("toggle", () => this.#refreshIfStale(), { capture: true });
    // A button at its end stays where it is, so that it keeps the focus.
    this.addEventListener("click", (event) => {
      if (event.target.closest("[aria-disabled=true]")) event.preventDefault();
    });
    const target = Number(this.dataset.target);
    onWorkspaceNews(
      () => this.#refresh(),
      ({ run, queue }) => queue === target || (run && this.#row(run)),
    );
    this.#refresh();
  }

  #refresh() {
    // What a person is about to choose must not go away.
    this.isStale = this.dragged || this.querySelector("details[open]");
    if (this.isStale) return;
    htmx.ajax("GET", this.dataset.refresh, { target: this, swap: "innerHTML" });
  }

  #refreshIfStale() {
    if (this.isStale) this.#refresh();
  }

  #row(run) {
    return this.querySelector(`tr[data-run="${CSS.escape(run)}"]`);
  }

  #begin(event) {
    this.dragged = event.target.closest("tr[draggable]");
    if (!this.dragged) return;
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", this.dragged.dataset.run);
    this.dragged.classList.add("is-dragged");
  }

  #over(event) {
    const row = this.#dropRow(event);
    this.#unmark();
    if (!row) return;
    event.preventDefault();
    row.classList.add(isAbove(event, row) ? "drop-above" : "drop-below");
  }

  #drop(event) {
    const row = this.#dropRow(event);
    if (!row) return;
    event.preventDefault();
    const next = isAbove(event, row) ? row : row.nextElementSibling;
    const form = this.dragged.querySelector("form");
    const values = Object.fromEntries(new FormData(form));
    if (next) values.before = next.dataset.run;
    else values.way = "last";
    const isSame = next === this.dragged || next === this.dragged.nextElementSibling;
    this.#end();
    if (isSame) return;
    htmx.ajax("POST", form.action, { target: "#queue", swap: "outerHTML", values });
  }

  #end() {
    this.dragged?.classList.remove("is-dragged");
    this.dragged = null;
    this.#unmark();
    this.#refreshIfStale();
  }

  #unmark() {
    for (const row of this.querySelectorAll(".drop-above, .drop-below")) {
      row.classList.remove("drop-above", "drop-below");
    }
  }

  #dropRow(event) {
    return this.dragged && event.target.closest("tr[data-place]");
  }
}

function isAbove(event, row) {
  const { top, height } = row.getBoundingClientRect();
  return event.clientY < top + height / 2;
}

customElements.define("queue-list", QueueList);
