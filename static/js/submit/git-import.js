/** Has the portal fetch a git repository, and tells how far it is. */

import { send, SendError } from "../upload/send.js";

const BEAT = 700;
// The portal may be away for so many looks, one after the other.
const PATIENCE = 30;

/**
 * @param {string} url where fetching begins, and below which it is looked at
 * @param {{address: string, reference: string, folder: string}} asked
 * @param {object} options
 * @param {AbortSignal} options.signal ends the fetching, in the portal too
 * @param {(said: string) => void} options.onSaid
 * @returns {Promise<any>} as Upload.to_json in runs/uploads.py describes it
 */
export async function importRepository(url, asked, { signal, onSaid }) {
  const { import: key } = await send(url, new URLSearchParams(asked), { signal });
  const own = `${url}${key}/`;
  try {
    let missed = 0;
    for (;;) {
      await pause(BEAT, signal);
      const { found, said } = await look(own, signal);
      if (found) return found;
      missed = said ? 0 : missed + 1;
      if (missed > PATIENCE) throw new SendError("The portal can't be reached: try again.");
      onSaid(said ?? "The connection was lost. Trying again…");
    }
  } catch (error) {
    if (signal.aborted) await send(`${own}stop/`, "").catch(() => {});
    throw error;
  }
}

/** What the portal says; nothing if it can't be reached, or is just restarted. */
async function look(url, signal) {
  let response;
  try {
    response = await fetch(url, { signal, headers: { Accept: "application/json" } });
  } catch (error) {
    if (signal.aborted) throw error;
    return {};
  }
  if (response.status >= 500) return {};
  if (response.redirected || [401, 403].includes(response.status)) {
    throw new SendError("You are not signed in any more: reload the page and sign in.");
  }
  if (response.status === 404) throw new SendError("It is fetched no longer: try again.");
  const answer = await response.json();
  if (response.ok) return answer;
  throw new SendError([answer.error, answer.advice].filter(Boolean).join(" "));
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal.addEventListener("abort", stop, { once: true });
  });
}
