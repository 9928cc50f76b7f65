/**
 * GET JSON from the portal.
 *
 * @param {string} address
 * @param {Record<string, string | number>} parameters
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>} Rejects with an error whose message is a sentence.
 */
export async function fetchJson(address, parameters, signal) {
  const url = new URL(address, location.href);
  url.search = new URLSearchParams(parameters).toString();
  const response = await ask(url, signal);
  if (response.redirected || response.status === 403) {
    throw new Error("You are signed out. Reload the page to sign in.");
  }
  if (response.ok) return response.json();
  throw new Error(`The portal answered with error ${response.status}. Reload the page.`);
}

async function ask(url, signal) {
  try {
    return await fetch(url, { signal, headers: { Accept: "application/json" } });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Error("The portal can't be reached. It is tried again.");
  }
}
