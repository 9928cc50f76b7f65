/**
 * Where a line is on a scroll bar that may be far too short for all lines.
 *
 * Browsers don't lay out elements of more than some 17 million pixels. Beyond a safe
 * height the bar is exact at both ends of the log and compressed between them; small
 * scrolls are moved by pixels and never go through this map.
 */

const MAX_HEIGHT = 8_000_000;
const EXACT = 100_000;

/**
 * @typedef {object} Scale
 * @property {number} height  Of the scrolled element.
 * @property {number} end  The largest scroll position, in the element and…
 * @property {number} logicalEnd  …if the element were as high as all lines.
 * @property {number} jump  A larger step of the bar is a jump and no small scroll.
 */

/**
 * @param {number} rows
 * @param {number} rowHeight
 * @param {number} view  The height that is seen.
 * @returns {Scale}
 */
export function scaleOf(rows, rowHeight, view) {
  const logical = Math.max(rows * rowHeight, view);
  const height = Math.min(logical, MAX_HEIGHT);
  const end = height - view;
  // A pixel of a drag moves by height / view; wheels and fingers move by less.
  const jump = Math.max(2 * view, Math.min(4000, (0.8 * end) / Math.max(1, view)));
  return { height, end, logicalEnd: logical - view, jump };
}

/** Whether a scroll position of the element is one of the lines themselves. */
export function isExact({ end, logicalEnd }) {
  return end === logicalEnd;
}

/** The position among all lines that the element's position stands for. */
export function toLogical(scale, position) {
  const { end, logicalEnd } = scale;
  if (isExact(scale) || position <= EXACT) return Math.max(0, position);
  if (position >= end - EXACT) return logicalEnd - Math.max(0, end - position);
  return EXACT + ((position - EXACT) * (logicalEnd - 2 * EXACT)) / (end - 2 * EXACT);
}

/** The inverse of `toLogical`. */
export function toPosition(scale, logical) {
  const { end, logicalEnd } = scale;
  if (isExact(scale) || logical <= EXACT) return Math.min(end, Math.max(0, logical));
  if (logical >= logicalEnd - EXACT) return end - Math.max(0, logicalEnd - logical);
  return EXACT + ((logical - EXACT) * (end - 2 * EXACT)) / (logicalEnd - 2 * EXACT);
}

/**
 * @typedef {object} Anchor
 * @property {number} row  The row at the upper edge of the view…
 * @property {number} offset  …and how far its top is above that edge.
 */

/**
 * The anchor `pixels` further down. A few hundred rows are walked over at most.
 *
 * @param {Anchor} anchor
 * @param {number} pixels
 * @param {number} count  The number of rows.
 * @param {(row: number) => number} heightOf
 * @returns {Anchor}
 */
export function moved(anchor, pixels, count, heightOf) {
  let { row } = anchor;
  let offset = Math.min(anchor.offset, heightOf(row)) + pixels;
  while (offset < 0 && row > 0) {
    row -= 1;
    offset += heightOf(row);
  }
  while (row < count - 1 && offset >= heightOf(row)) {
    offset -= heightOf(row);
    row += 1;
  }
  return { row, offset: Math.max(0, offset) };
}

/** The anchor at a position among rows that all have the same height. */
export function anchorAt(logical, rowHeight) {
  const row = Math.floor(logical / rowHeight);
  return { row, offset: logical - row * rowHeight };
}

/**
 * The rows to lay out around `row`: the view is full at the end of the list as well,
 * even if each row is as low as a row can be.
 */
export function rangeAround(row, count, fit, overscan) {
  const first = Math.max(0, Math.min(row, count - fit) - overscan);
  const last = Math.min(count, Math.max(row, first) + fit + overscan);
  return { first, last };
}
