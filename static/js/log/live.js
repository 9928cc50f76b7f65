/**
 * Keeps a store up to date over the run's socket, and makes sure that it is.
 */

import { subscribe } from "../run-socket.js";

// How often the size is asked for over HTTP, in case the socket fell silent unseen.
const CHECK_MS = 30_000;
const GRACE_MS = 5_000;

/**
 * Sends `state` (see `connection`), `changed` (detail: the notice) and `end`.
 */
export class LiveLog extends EventTarget {
  #heard = 0;

  /** The state of the socket, perhaps with a detail. */
  connection = { state: "connecting" };

  /** @param {string} address  Of the socket. @param {LogStore} store */
  constructor(address, store) {
    super();
    this.store = store;
    this.socket = subscribe(address, {
      message: (message) => this.#message(message),
      bytes: (offset, bytes) => this.#bytes(offset, bytes),
      state: (state, detail) => this.#state(state, detail),
    });
    this.timer = setInterval(() => this.#check(), CHECK_MS);
  }

  close() {
    clearInterval(this.timer);
    this.socket.close();
  }

  /** Have the end of the log sent as it grows, without all that lies before it. */
  follow() {
    const { tail } = this.store;
    this.socket.follow(() => ({ from: tail.isEmpty ? "tail" : tail.end, skip: true }));
  }

  /** Hear only how much the log has grown. */
  unfollow() {
    this.store.isStreaming = false;
    this.socket.unfollow();
  }

  #message(message) {
    const { store } = this;
    switch (message.type) {
      case "log":
      case "skip":
        this.#goOn(message);
        break;
      case "restart":
        store.reset();
        break;
      case "grown":
        this.#heardOf(message.end);
        store.grow(message.end, message.lines);
        break;
      case "end":
        this.#heardOf(message.size);
        store.isStreaming = false;
        store.finish(message.size);
        clearInterval(this.timer);
        this.#tell("end", message);
        break;
      case "changed":
        this.#tell("changed", message);
        break;
    }
  }

  #goOn({ from, line, end }) {
    const { store } = this;
    if (end < store.tail.end) store.reset();
    if (from !== store.tail.end || store.tail.isEmpty) store.beginTail(from, line);
    store.isStreaming = true;
    this.#heardOf(end);
  }

  #bytes(offset, bytes) {
    if (!this.store.append(offset, bytes)) {
      // Frames come in order, so this is a log that begins anew.
      this.store.beginTail(0, 0);
      this.follow();
      return;
    }
    this.#heardOf(this.store.tail.end);
    this.socket.acknowledge(this.store.tail.end);
  }

  #state(state, detail) {
    this.store.isStreaming = false;
    this.connection = { state, detail };
    this.#tell("state");
    // Without sockets, as behind some proxies, the log still moves on.
    if (state === "waiting") this.store.refresh().catch(() => {});
  }

  #heardOf(end) {
    this.#heard = Math.max(this.#heard, end);
  }

  async #check() {
    try {
      const { size } = await this.store.refresh();
      setTimeout(() => {
        if (size > this.#heard) this.socket.reconnect();
      }, GRACE_MS);
    } catch {
      // The next check will tell.
    }
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
