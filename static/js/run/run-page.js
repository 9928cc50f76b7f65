/**
 * The page of a run: shows one of its parts at a time, and asks for a part again when
 * the run's socket says that something in it is new.
 *
 * @example see templates/runs/run_detail.html
 */

import { subscribe } from "../run-socket.js";
import "./file-pane.js";
import "./file-tree.js";

// What comes in quick succession is asked for once.
const PAUSE_MS = 120;
// The queue may change many times a second; who waits sees it so often. Estimates grow
// old by themselves, too.
const PLACE_MS = 2000;
const ESTIMATE_MS = 30_000;
/** What of the run shows up in which parts of the page. */
const SHOWN_IN = {
  status: ["status", "overview", "outputs", "resources"],
  place: ["status"],
  files: ["outputs"],
  resources: ["resources"],
  notes: ["status", "overview"],
  tags: ["overview"],
};

class RunPage extends HTMLElement {
  #stale = new Set();
  #searches = new Map();
  #timer = 0;
  #place = 0;
  #announced = "";

  connectedCallback() {
    this.addEventListener("click", (event) => this.#click(event));
    this.addEventListener("focusout", () => this.#soon());
    // A closed dialog or menu lets in what it has held back.
    this.addEventListener("toggle", () => this.#soon(), { capture: true });
    this.addEventListener("htmx:afterSettle", () => {
      this.#announce();
      this.#fetchChart();
    });
    this.#fetchChart();
    this.#announced = this.#status.dataset.status;
    this.#bringTabIntoView();
    if (!("active" in this.dataset)) return;
    this.live = subscribe(this.dataset.socket, {
      message: (message) => this.#told(message),
      state: (state) => state === "open" && this.#changed(["status"]),
    });
    this.waiting = setInterval(() => this.#askPlace(), ESTIMATE_MS);
  }

  disconnectedCallback() {
    this.live?.close();
    clearTimeout(this.#timer);
    clearTimeout(this.#place);
    clearInterval(this.waiting);
  }

  /** It brings a large library along, and is seldom wanted at first. */
  #fetchChart() {
    if (this.querySelector("resource-chart")) import("./resource-chart.js");
  }

  #told(message) {
    if (message.type === "changed" && message.what.includes("place")) this.#placeChanged();
    else if (message.type === "changed") this.#changed(message.what);
    if (message.type === "end") this.#changed(["status", "files"]);
  }

  #placeChanged() {
    this.#place ||= setTimeout(() => {
      this.#place = 0;
      this.#askPlace();
    }, PLACE_MS * Math.random());
  }

  #changed(what) {
    what.flatMap((each) => SHOWN_IN[each] ?? []).forEach((part) => this.#stale.add(part));
    this.#soon();
  }

  #soon() {
    if (this.#timer || this.#stale.size === 0) return;
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      this.#refresh();
    }, PAUSE_MS);
  }

  #refresh() {
    const status = this.#status;
    const isInUse = status.querySelector(":popover-open, details[open]");
    if (!isInUse && this.#take("status")) htmx.trigger(status, "fetch");
    this.#refreshPanel(this.#shown);
  }

  #askPlace() {
    const isWaiting = this.#status.dataset.status === "Queued";
    if (isWaiting && !document.hidden) this.#changed(["place"]);
  }

  /** Tell those who can't see it that the state has changed. */
  #announce() {
    const { status, label } = this.#status.dataset;
    if (status === this.#announced) return;
    this.#announced = status;
    this.querySelector("[data-announce]").textContent = `The run's state is: ${label}.`;
  }

  #refreshPanel(panel) {
    const name = panel.dataset.panel;
    // What is being typed there would be lost.
    if (name === "overview" && panel.contains(document.activeElement)) return;
    if (!this.#take(name)) return;
    if (name === "outputs") panel.querySelector("file-tree")?.refresh();
    else if (name === "resources") panel.querySelector("resource-chart")?.update?.();
    else htmx.trigger(panel, "fetch");
  }

  #take(name) {
    return this.#stale.delete(name);
  }

  get #status() {
    return this.querySelector("#run-status");
  }

  get #shown() {
    return this.querySelector("[data-panel]:not([hidden])");
  }

  #click(event) {
    const link = event.target.closest("[data-tab]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.#show(link.dataset.tab);
  }

  #show(name) {
    const before = this.#shown;
    if (before.dataset.panel === name) return;
    this.#searches.set(before.dataset.panel, location.search);
    for (const panel of this.querySelectorAll("[data-panel]")) {
      panel.hidden = panel.dataset.panel !== name;
    }
    for (const tab of this.querySelectorAll(".tab")) {
      if (tab.dataset.tab === name) tab.ariaCurrent = "page";
      else tab.removeAttribute("aria-current");
    }
    this.#bringTabIntoView();
    const search = this.#searches.get(name) ?? `?tab=${name}`;
    history.replaceState(null, "", location.pathname + search);
    const panel = this.#shown;
    if ("fetched" in panel.dataset) this.#refreshPanel(panel);
    else this.#fetchFirst(panel);
  }

  #bringTabIntoView() {
    const tab = this.querySelector(".tab[aria-current]");
    tab?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  #fetchFirst(panel) {
    panel.dataset.fetched = "";
    this.#take(panel.dataset.panel);
    htmx.trigger(panel, "fetch");
  }
}

customElements.define("run-page", RunPage);
