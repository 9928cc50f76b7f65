/**
 * The socket that tells which runs have a new state, and which queues another order.
 *
 * @example onWorkspaceNews((runs) => …) // a Set of run ids; empty: look at everything
 * @example onWorkspaceNews(() => …, ({ run, queue }) => queue === 5 || run === "a_1")
 */

const AT_MOST_EVERY = 1000;
const LONGEST_BACK_OFF = 15000;

/** Call `tell` soon after something that `wants` has changed, at most once a second. */
export function onWorkspaceNews(tell, wants = ({ run }) => run !== undefined) {
  let runs = new Set();
  let everything = false;
  let timer = null;
  let last = 0;
  let backOff = 500;
  let opened = false;

  const flush = () => {
    timer = null;
    last = Date.now();
    const news = everything ? new Set() : runs;
    runs = new Set();
    everything = false;
    tell(news);
  };
  const note = (run) => {
    if (run === null) everything = true;
    else runs.add(run);
    timer ??= setTimeout(flush, Math.max(0, last + AT_MOST_EVERY - Date.now()));
  };
  const connect = () => {
    const address = new URL("/ws/workspace/", location.href);
    address.protocol = address.protocol.replace("http", "ws");
    const socket = new WebSocket(address);
    socket.onopen = () => {
      backOff = 500;
      // What happened while it was closed, nobody told.
      if (opened) note(null);
      opened = true;
    };
    socket.onmessage = ({ data }) => {
      const news = JSON.parse(data);
      if (news.run === null || wants(news)) note(news.run ?? null);
    };
    socket.onclose = (event) => {
      if (event.code === 4401) return location.reload();
      setTimeout(connect, backOff);
      backOff = Math.min(backOff * 2, LONGEST_BACK_OFF);
    };
  };
  connect();
}
