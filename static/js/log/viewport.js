/**
 * Shows the rows around one place of a list that may have hundreds of millions.
 *
 * The place is an anchor, a row and an offset into it, and rows keep their normal flow,
 * so each may have its own height. The scroll bar only mirrors the anchor.
 *
 *   <div class="log-view__scroller">
 *     <div class="log-view__layer">  sticks to the view and scrolls sideways
 *       <div class="log-view__rows"></div>
 *     </div>
 *     <div class="log-view__spacer"></div>  makes the bar as long as it should be
 *   </div>
 */

import { anchorAt, moved, rangeAround } from "./geometry.js";
import { ScrollBar } from "./scroll-bar.js";

const OVERSCAN = 12;
const START = { row: 0, offset: 0 };

/**
 * @typedef {object} Rows  What is shown.
 * @property {() => number} count
 * @property {(first: number, last: number) => void} begin  These will be painted.
 * @property {(element: HTMLElement, row: number) => void} paint  In rising order.
 */

/** Sends `paint` whenever rows have been painted, and `move` if at another place. */
export class Viewport extends EventTarget {
  #anchor = START;
  #elements = new Map();
  #heights = new Map();
  #average = 0;
  #frame = 0;
  #hasMoved = false;
  #descends = false;
  #sticks = false;

  /** Whether the last row is seen to its end. */
  isAtEnd = true;

  /** @param {HTMLElement} scroller @param {Rows} rows */
  constructor(scroller, rows) {
    super();
    this.rows = rows;
    const [layer, spacer] = scroller.children;
    this.layer = layer;
    this.block = layer.firstElementChild;
    this.bar = new ScrollBar(scroller, spacer, {
      step: (pixels) => this.#stepped(pixels),
      jump: (logical) => this.#go(anchorAt(logical, this.#typicalHeight)),
      toStart: () => this.#go(START),
      toEnd: () => this.#go(this.#end, true),
      rest: () => this.#mirror(),
    });
    scroller.addEventListener("wheel", (event) => this.#wheel(event), { passive: true });
    // Whoever scrolls rows into view by other means, as a search of the browser does,
    // moves the layer; it must stay where it is.
    layer.addEventListener("scroll", () => this.#straighten(), { passive: true });
    this.resize = new ResizeObserver(() => this.#measure());
    this.resize.observe(layer);
    this.#measure();
  }

  close() {
    this.resize.disconnect();
    this.bar.close();
    cancelAnimationFrame(this.#frame);
  }

  /** Whether rows may take several lines. */
  set wraps(wraps) {
    this.bar.isEven = !wraps;
    this.#average = this.rowHeight;
    this.#heights.clear();
    this.refresh();
  }

  /**
   * Whether the view stays at the last row while rows are added: until it is moved
   * away, and again once it was moved there.
   */
  get sticks() {
    return this.#sticks;
  }

  set sticks(sticks) {
    this.#sticks = sticks;
    this.refresh();
  }

  /** How far a page key moves, in pixels. */
  get page() {
    return Math.max(this.rowHeight, this.view - 2 * this.rowHeight);
  }

  /** The row at the upper edge. */
  get firstRow() {
    return this.#anchor.row;
  }

  /** Paint soon; call it whenever anything that is shown has changed. */
  refresh() {
    this.#frame ||= requestAnimationFrame(() => this.#paint());
  }

  /** Show `row`, with some rows above it. */
  show(row) {
    this.#go({ row, offset: 0 });
    this.moveBy(-this.view / 3);
  }

  /** Bring `target`, which is within a painted row, into the view. */
  reveal(target) {
    const seen = this.layer.getBoundingClientRect();
    const { top, bottom, left, right } = target.getBoundingClientRect();
    if (top < seen.top || bottom > seen.bottom) this.moveBy(top - seen.top - this.view / 3);
    if (left < seen.left + seen.width / 8 || right > seen.right) {
      this.layer.scrollLeft += left - seen.left - seen.width / 2;
    }
  }

  moveBy(pixels) {
    this.#stepped(pixels);
    this.#settle();
  }

  moveToStart() {
    this.#go(START);
    this.#settle();
  }

  moveToEnd() {
    this.#go(this.#end, true);
    this.#settle();
  }

  get #end() {
    return { row: Math.max(0, this.rows.count() - 1), offset: Infinity };
  }

  get #typicalHeight() {
    return this.bar.isEven ? this.rowHeight : this.#average;
  }

  #heightOf(row) {
    return this.bar.isEven ? this.rowHeight : (this.#heights.get(row) ?? this.#average);
  }

  #stepped(pixels) {
    const heightOf = (row) => this.#heightOf(row);
    const anchor = moved(this.#anchor, pixels, this.rows.count(), heightOf);
    this.#go(anchor, this.#sticks && pixels > 0);
    this.#descends = pixels > 0;
  }

  #go(anchor, sticks = false) {
    this.#anchor = anchor;
    this.#sticks = sticks;
    this.#hasMoved = true;
    this.#descends = false;
    this.refresh();
  }

  #settle() {
    this.#paint();
    this.#mirror();
  }

  #wheel(event) {
    // At once, so that a log that grows fast can't pull the view back.
    if (event.deltaY < 0 && this.bar.canMove) this.#go(this.#anchor);
  }

  #straighten() {
    const moved = this.layer.scrollTop;
    this.layer.scrollTop = 0;
    if (moved) this.moveBy(moved);
  }

  #measure() {
    const probe = document.createElement("div");
    probe.className = "log-row";
    probe.textContent = "0";
    this.block.append(probe);
    this.rowHeight = probe.getBoundingClientRect().height || 20;
    probe.remove();
    this.view = this.layer.clientHeight;
    this.#average ||= this.rowHeight;
    this.refresh();
  }

  #mirror() {
    const { row, offset } = this.#anchor;
    this.bar.mirror(this.isAtEnd ? Infinity : row * this.#typicalHeight + offset);
  }

  #paint() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    if (this.view) this.#paintRows(this.rows.count());
    if (this.#hasMoved) this.dispatchEvent(new Event("move"));
    this.#hasMoved = false;
    this.dispatchEvent(new Event("paint"));
  }

  #paintRows(count) {
    if (this.#sticks || this.#anchor.row >= count) this.#anchor = this.#end;
    const fit = Math.ceil(this.view / this.rowHeight);
    const { first, last } = rangeAround(this.#anchor.row, count, fit, OVERSCAN);
    this.#arrange(first, last);
    if (!this.bar.isEven) this.#readHeights();
    this.#place(first, last, count);
    this.bar.fit(count, this.#typicalHeight, this.view);
    if (this.#descends && this.isAtEnd) this.#sticks = true;
    if (this.#sticks) this.#mirror();
  }

  /** Have exactly these rows in the document, each painted. */
  #arrange(first, last) {
    for (const [row, element] of this.#elements) {
      if (row >= first && row < last) continue;
      element.remove();
      this.#elements.delete(row);
    }
    this.rows.begin(first, last);
    let next = this.block.firstElementChild;
    for (let row = first; row < last; row += 1) {
      const element = this.#elements.get(row) ?? this.#insert(row, next);
      next = element.nextElementSibling;
      this.rows.paint(element, row);
    }
  }

  #insert(row, next) {
    const element = document.createElement("div");
    element.className = "log-row";
    this.block.insertBefore(element, next);
    this.#elements.set(row, element);
    return element;
  }

  #readHeights() {
    this.#heights.clear();
    let sum = 0;
    for (const [row, element] of this.#elements) {
      const { height } = element.getBoundingClientRect();
      this.#heights.set(row, height);
      sum += height;
    }
    // Slowly, so that the bar does not tremble.
    if (sum) this.#average = (4 * this.#average + sum / this.#elements.size) / 5;
  }

  /** Shift the rows so that the anchor is at the upper edge, or the end at the lower. */
  #place(first, last, count) {
    const { row, offset } = this.#anchor;
    let above = 0;
    let height = 0;
    for (let at = first; at < last; at += 1) {
      if (at === row) above = height + Math.min(offset, this.#heightOf(at));
      height += this.#heightOf(at);
    }
    this.isAtEnd = last >= count && height - above <= this.view + 1;
    const shift = this.isAtEnd ? Math.max(0, height - this.view) : above;
    const heightOf = (at) => this.#heightOf(at);
    this.#anchor = moved({ row: first, offset: 0 }, shift, count, heightOf);
    this.block.style.transform = `translateY(${-shift}px)`;
  }
}
