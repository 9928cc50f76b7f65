/** Sends what may be large, telling how far it is. */

/** Why something was not sent, as a sentence for the person at the page. */
export class SendError extends Error {
  /** @param {number} status of the answer; 0 if there was none */
  constructor(message, status = 0) {
    super(message);
    this.name = "SendError";
    this.status = status;
  }
}

/**
 * POST `body` and give the JSON that comes back.
 *
 * An answer that is no success is a SendError with the portal's own sentence, which it
 * gives as {"error": …, "advice": …}. What `signal` stops ends in an AbortError.
 *
 * @param {string} url
 * @param {Blob | string} body
 * @param {object} options
 * @param {Record<string, string>} [options.headers]
 * @param {string} [options.csrfToken] if it is not that of a form on the page
 * @param {(sent: number, total: number) => void} [options.onProgress] in bytes; when
 *   all are sent the portal still has to read them
 * @param {AbortSignal} [options.signal]
 * @returns {Promise<any>}
 */
export function send(url, body, options = {}) {
  const { headers = {}, csrfToken = tokenOfPage(), onProgress, signal } = options;
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const request = new XMLHttpRequest();
    request.open("POST", url);
    const all = { Accept: "application/json", "X-CSRFToken": csrfToken, ...headers };
    for (const name in all) request.setRequestHeader(name, all[name]);
    request.upload.onprogress = (event) => onProgress?.(event.loaded, event.total);
    const stop = () => request.abort();
    signal?.addEventListener("abort", stop);
    request.onloadend = () => signal?.removeEventListener("abort", stop);
    request.onload = () => settle(request, resolve, reject);
    request.onerror = () => reject(new SendError(LOST));
    request.onabort = () => reject(signal?.reason ?? new SendError(LOST));
    request.send(body);
  });
}

const LOST =
  "The connection to the portal was lost, or a file was changed while it was sent: " +
  "try again.";

function tokenOfPage() {
  return globalThis.document?.querySelector("[name=csrfmiddlewaretoken]")?.value ?? "";
}

function settle(request, resolve, reject) {
  const answer = parse(request.responseText);
  const isThrough = request.status >= 200 && request.status < 300;
  if (isThrough && answer) resolve(answer);
  else reject(new SendError(sentence(request.status, answer), request.status));
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function sentence(status, answer) {
  if (answer?.error) return [answer.error, answer.advice].filter(Boolean).join(" ");
  if (status === 413) {
    return "This is larger than the portal takes: leave out what no script needs.";
  }
  // A page instead of an answer: that of signing in, or the one for a token too old.
  if (status < 300 || status === 401 || status === 403) {
    return "You are not signed in any more: reload the page, sign in and try again.";
  }
  return `The portal answered with an error (${status}): try again in a moment.`;
}
