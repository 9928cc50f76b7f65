/**
 * The live socket of a run, one per address however many parts of a page listen.
 *
 *   const live = subscribe("/ws/runs/digits_1598_ab12/", {
 *     message: ({ type, status }) => …,   // see the frames in runs/live.py
 *     bytes: (offset, bytes) => …,
 *     state: (state) => …,                // "connecting", "open", "waiting", "refused"
 *   });
 *   live.follow(() => ({ from: "tail", skip: true }));
 *   live.close();
 *
 * A lost connection is made again after a pause that grows; a follower is then asked
 * where to go on, so it sets in exactly where it was.
 */

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
// Sent by the server when to try again is of no use.
const REFUSALS = { 4401: "signed-out", 4404: "no-such-run" };

const sockets = new Map();

/** Listen to the socket at `address`; it is opened if nobody listens yet. */
export function subscribe(address, listener, open = openSocket) {
  if (!sockets.has(address)) {
    const drop = () => sockets.delete(address);
    sockets.set(address, new RunSocket(() => open(address), drop));
  }
  return sockets.get(address).add(listener);
}

/** The pause before connection attempt `attempt`, spread by `chance` (0 to 1). */
export function pauseBefore(attempt, chance) {
  const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** attempt);
  return longest * (0.6 + 0.4 * chance);
}

/** Take a binary frame apart: eight bytes of offset, then bytes of the log. */
export function parseFrame(buffer) {
  const offset = Number(new DataView(buffer).getBigUint64(0));
  return { offset, bytes: new Uint8Array(buffer, 8) };
}

function openSocket(address) {
  const url = new URL(address, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  const socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  return socket;
}

class RunSocket {
  #listeners = new Set();
  #position = null;
  #socket = null;
  #state = "connecting";
  #attempt = 0;
  #timer = 0;
  #online = () => this.#hurry();

  constructor(open, drop) {
    this.open = open;
    this.drop = drop;
    globalThis.addEventListener?.("online", this.#online);
    this.#connect();
  }

  add(listener) {
    this.#listeners.add(listener);
    listener.state?.(this.#state);
    return {
      follow: (position) => this.#follow(position),
      unfollow: () => this.#unfollow(),
      acknowledge: (offset) => this.#send({ type: "ack", offset }),
      reconnect: () => this.#socket?.close(),
      close: () => this.#remove(listener),
    };
  }

  #remove(listener) {
    this.#listeners.delete(listener);
    if (this.#listeners.size) return;
    this.drop();
    clearTimeout(this.#timer);
    globalThis.removeEventListener?.("online", this.#online);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #follow(position) {
    this.#position = position;
    this.#send({ type: "follow", ...position() });
  }

  #unfollow() {
    this.#position = null;
    this.#send({ type: "unfollow" });
  }

  #send(message) {
    if (this.#state === "open") this.#socket.send(JSON.stringify(message));
  }

  #connect() {
    const socket = this.open();
    this.#socket = socket;
    socket.onopen = () => {
      this.#change("open");
      if (this.#position) this.#send({ type: "follow", ...this.#position() });
    };
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = ({ code }) => {
      if (this.#socket === socket) this.#lost(code);
    };
  }

  #receive(data) {
    // Only what was heard shows that the connection works.
    this.#attempt = 0;
    if (typeof data === "string") {
      this.#tell("message", JSON.parse(data));
    } else {
      const { offset, bytes } = parseFrame(data);
      this.#tell("bytes", offset, bytes);
    }
  }

  #lost(code) {
    if (code in REFUSALS) {
      this.#change("refused", REFUSALS[code]);
      return;
    }
    this.#change("waiting");
    const pause = pauseBefore(this.#attempt, Math.random());
    this.#attempt += 1;
    this.#timer = setTimeout(() => this.#connect(), pause);
  }

  #hurry() {
    if (this.#state !== "waiting") return;
    clearTimeout(this.#timer);
    this.#connect();
  }

  #change(state, detail) {
    this.#state = state;
    this.#tell("state", state, detail);
  }

  #tell(what, ...details) {
    for (const listener of this.#listeners) listener[what]?.(...details);
  }
}
