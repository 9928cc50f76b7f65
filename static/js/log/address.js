/** Lines in the address of a page: #L12 and #L12-L20, counted from 1. */

const HASH = /^#L(\d{1,15})(?:-L?(\d{1,15}))?$/;

/**
 * @param {string} hash
 * @returns {{first: number, last: number} | null}  Counted from 0, both included.
 */
export function linesOf(hash) {
  const match = HASH.exec(hash);
  if (!match) return null;
  const from = Number(match[1]);
  const to = Number(match[2] ?? match[1]);
  if (!from || !to) return null;
  return { first: Math.min(from, to) - 1, last: Math.max(from, to) - 1 };
}

/** @param {{first: number, last: number}} lines */
export function hashOf({ first, last }) {
  return first === last ? `#L${first + 1}` : `#L${first + 1}-L${last + 1}`;
}
