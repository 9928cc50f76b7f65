/**
 * The log of a run, live: folded progress bars, colours, search, links to lines. The
 * lines that tell of the making of its environment are folded into one.
 *
 *   <log-view class="log-view" data-run="digits_1598_ab12" data-active
 *     data-socket="/ws/runs/…/" data-lines="/runs/…/log/lines"
 *     data-search="/runs/…/log/search" data-raw="/runs/…/log/raw">…</log-view>
 *
 * The elements inside come from templates/runs/_log_view.html. Two events bubble up:
 * `log-view:changed` (something of the run is new, detail as the socket tells it) and
 * `log-view:end` (the log is complete).
 */

import { fetchJson } from "./log/fetch.js";
import { formatBytes, formatPlural } from "./log/format.js";
import { hashOf, linesOf } from "./log/address.js";
import { Head } from "./log/head.js";
import { actionOf } from "./log/keys.js";
import { LiveLog } from "./log/live.js";
import { LogSearch } from "./log/search.js";
import { LogStore } from "./log/store.js";
import { Rows } from "./log/rows.js";
import { SearchBox } from "./log/search-box.js";
import { statusOf } from "./log/status.js";
import { Viewport } from "./log/viewport.js";

const WRAP_KEY = "aml-portal:log-wrap";
const SIDEWAYS = 60;
const RETRY_MS = 2000;

class LogView extends HTMLElement {
  #isFollowing = false;
  #isLoaded = false;
  #live = null;
  #trouble = "";
  // The line of a hit that has not been brought into view: it may still be fetched.
  #hidden = -1;

  connectedCallback() {
    const { lines, search, raw } = this.dataset;
    this.stop = new AbortController();
    this.store = new LogStore((start, count, signal) =>
      fetchJson(lines, { start, count }, signal),
    );
    this.rows = new Rows(this.store, raw);
    this.viewport = new Viewport(this.#part("scroller"), this.rows);
    this.search = new LogSearch(
      (query, matchCase, from, signal) =>
        fetchJson(search, { q: query, case: Number(matchCase), from }, signal),
      () => this.store.size,
    );
    this.searchBox = new SearchBox((name) => this.#part(name), this.search, {
      show: (line) => this.#showHit(line),
      query: () => this.#searched(),
      leave: () => this.#part("scroller").focus(),
      firstLine: () => this.rows.lineOf(this.viewport.firstRow),
    });
    this.#listen();
    this.#setWrap(localStorage.getItem(WRAP_KEY) === "1");
    this.#open();
  }

  disconnectedCallback() {
    this.stop.abort();
    this.search.stop();
    this.#live?.close();
    this.store.close();
    this.viewport.close();
  }

  #part(name) {
    return this.querySelector(`[data-part="${name}"]`);
  }

  #listen() {
    const { signal } = this.stop;
    const on = (target, type, handle) => target.addEventListener(type, handle, { signal });
    on(this.store, "change", () => this.#changed());
    on(this.store, "trouble", ({ detail }) => this.#failed(detail));
    on(this.viewport, "move", () => this.#moved());
    on(this.viewport, "paint", () => this.#painted());
    on(window, "hashchange", () => this.#showLinked());
    on(this, "fullscreenchange", () => this.#filled());
    this.#part("fill").hidden = !document.fullscreenEnabled;
    on(this, "keydown", (event) => this.#key(event));
    on(this.#part("scroller"), "click", (event) => this.#clicked(event));
    on(this.#part("go-to"), "submit", (event) => this.#goTo(event));
    for (const button of this.querySelectorAll("[data-action]")) {
      on(button, "click", () => this.#actions[button.dataset.action]());
    }
  }

  #open() {
    this.viewport.sticks = linesOf(location.hash) === null;
    if ("active" in this.dataset) this.#goLive();
    this.#load();
  }

  async #load() {
    const { signal } = this.stop;
    try {
      await this.store.refresh();
    } catch (error) {
      this.#failed(error);
      setTimeout(() => signal.aborted || this.#load(), RETRY_MS);
      return;
    }
    this.#isLoaded = true;
    this.#showLinked();
    this.#changed();
  }

  #goLive() {
    this.#live = new LiveLog(this.dataset.socket, this.store);
    const on = (type, handle) =>
      this.#live.addEventListener(type, ({ detail }) => handle(detail));
    on("state", () => this.#paint());
    on("changed", (notice) => {
      this.#askHead(notice.what);
      this.#send("changed", notice);
    });
    on("end", (end) => this.#send("end", end));
    this.#moved();
  }

  #actions = {
    down: () => this.viewport.moveBy(this.viewport.rowHeight),
    up: () => this.viewport.moveBy(-this.viewport.rowHeight),
    pageDown: () => this.viewport.moveBy(this.viewport.page),
    pageUp: () => this.viewport.moveBy(-this.viewport.page),
    left: () => this.viewport.layer.scrollBy(-SIDEWAYS, 0),
    right: () => this.viewport.layer.scrollBy(SIDEWAYS, 0),
    toStart: () => this.viewport.moveToStart(),
    toEnd: () => this.viewport.moveToEnd(),
    search: () => this.searchBox.focus(),
    toggleFollowing: () => {
      if (this.viewport.sticks) this.viewport.sticks = false;
      else this.viewport.moveToEnd();
      this.#moved();
    },
    toggleWrap: () => this.#setWrap(!this.classList.contains("log-view--wrap")),
    toggleRaw: () => {
      this.rows.raw = !this.rows.raw;
      this.#part("raw").setAttribute("aria-pressed", String(this.rows.raw));
      this.viewport.refresh();
    },
    toggleHead: () => {
      const { head } = this.rows;
      if (!head?.lines) return;
      head.isFolded = !head.isFolded;
      // From the end, nobody would see what was shown.
      this.viewport.moveToStart();
    },
    toggleFilling: () => {
      if (document.fullscreenElement) document.exitFullscreen();
      else this.requestFullscreen?.();
    },
  };

  #key(event) {
    const action = actionOf(event);
    if (!action) return;
    event.preventDefault();
    this.#actions[action]();
  }

  #clicked(event) {
    if (event.target.closest(".log-head")) this.#actions.toggleHead();
    const link = event.target.closest(".log-row__number");
    if (!link) return;
    event.preventDefault();
    const { first } = linesOf(link.hash);
    const other = event.shiftKey ? (this.rows.selected?.first ?? first) : first;
    const lines = { first: Math.min(first, other), last: Math.max(first, other) };
    history.replaceState(history.state, "", hashOf(lines));
    this.rows.selected = lines;
    this.viewport.refresh();
  }

  #showLinked() {
    this.rows.selected = linesOf(location.hash);
    this.#hidden = -1;
    if (this.rows.selected) this.#show(this.rows.selected.first);
    else this.viewport.refresh();
  }

  #show(line) {
    const shown = Math.min(line, Math.max(0, this.store.total - 1));
    if (this.rows.head?.hides(shown)) this.rows.head.isFolded = false;
    this.viewport.show(this.rows.rowOf(shown));
  }

  /** It is known once the script has begun, or never will. */
  #askHead(what) {
    if (this.store.head || !what.includes("status")) return;
    this.store.refresh().catch(() => {});
  }

  /** Say how the environment was made; the lines of that are folded if it was. */
  #takeHead() {
    const { head } = this.store;
    if (!head || this.rows.head) return;
    this.rows.head = new Head(head);
    // Nobody who reads further up is to lose the place.
    this.rows.head.isFolded = !this.#isLoaded || this.viewport.sticks;
    if (!head.lines) this.viewport.moveToStart();
  }

  #showHit(line) {
    this.rows.current = this.#hidden = line;
    this.#show(line);
  }

  #searched() {
    Object.assign(this.rows, {
      query: this.search.query,
      matchCase: this.search.matchCase,
      current: -1,
    });
    this.viewport.refresh();
  }

  #goTo(event) {
    event.preventDefault();
    const lines = linesOf(`#L${this.#part("line").value.replace(/\D/g, "")}`);
    this.#part("line").value = "";
    if (!lines) return;
    history.replaceState(history.state, "", hashOf(lines));
    this.#showLinked();
    this.#part("scroller").focus();
  }

  #setWrap(wrap) {
    this.classList.toggle("log-view--wrap", wrap);
    this.#part("wrap").setAttribute("aria-pressed", String(wrap));
    localStorage.setItem(WRAP_KEY, wrap ? "1" : "0");
    this.viewport.wraps = wrap;
  }

  #filled() {
    const fills = document.fullscreenElement === this;
    this.#part("fill").setAttribute("aria-pressed", String(fills));
  }

  /** Live bytes are wanted exactly while the end of the log is watched. */
  #moved() {
    const { sticks } = this.viewport;
    if (this.#live && !this.store.final && sticks !== this.#isFollowing) {
      if (sticks) this.#live.follow();
      else this.#live.unfollow();
    }
    this.#isFollowing = sticks;
    this.#paint();
  }

  #changed() {
    this.#trouble = "";
    this.#takeHead();
    this.viewport.refresh();
  }

  #painted() {
    const row = this.querySelector(".log-row--current:not(.log-row--missing)");
    if (row && this.#hidden >= 0) {
      this.#hidden = -1;
      const match = row.querySelector("mark");
      if (match) this.viewport.reveal(match);
    }
    this.#paint();
  }

  /** Hide a button; who was on it goes on in the lines and not at the page's top. */
  #hide(name, hidden) {
    const button = this.#part(name);
    if (hidden && button === document.activeElement) this.#part("scroller").focus();
    button.hidden = hidden;
  }

  #failed(error) {
    this.#trouble = error.message;
    this.#paint();
  }

  #send(name, detail) {
    this.dispatchEvent(new CustomEvent(`log-view:${name}`, { detail, bubbles: true }));
  }

  #paint() {
    const { total, size, final } = this.store;
    const status = statusOf({
      isFinal: final,
      isActive: this.#live !== null,
      isFollowing: this.#isFollowing,
      trouble: this.#trouble,
      // The socket may have been open before the log was shown.
      connection: this.#live?.connection ?? { state: "connecting" },
    });
    this.dataset.tone = status.tone;
    setText(this.#part("status"), status.text);
    const facts = `${formatPlural(total, "line")}, ${formatBytes(size)}`;
    setText(this.#part("facts"), size ? facts : "");
    this.#hide("follow", final || this.#live === null);
    this.#part("follow").setAttribute("aria-pressed", String(this.#isFollowing));
    this.#hide("to-end", this.viewport.isAtEnd || this.#isFollowing);
    this.#part("empty").hidden = total > 0 || !this.#isLoaded;
    this.#part("empty-so-far").hidden = final;
    this.#part("empty-for-good").hidden = !final;
    this.style.setProperty("--log-digits", String(Math.max(3, String(total).length)));
  }
}

/** A live region speaks when it is written to, so only changes are written. */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

customElements.define("log-view", LogView);
