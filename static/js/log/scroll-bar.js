/**
 * A native scroll bar for a list that may be longer than any element can be.
 *
 * It tells what the person did with it, as small steps and as jumps, and is put back
 * to where the list is when it rests.
 */

import { isExact, scaleOf, toLogical, toPosition } from "./geometry.js";

const IDLE_MS = 150;
const TURNING_MS = 300;

/**
 * @typedef {object} Reader  Who is told.
 * @property {(pixels: number) => void} step
 * @property {(logical: number) => void} jump
 * @property {() => void} toStart
 * @property {() => void} toEnd
 * @property {() => void} rest  The bar has come to rest: time to call `mirror`.
 */

export class ScrollBar {
  #scale = scaleOf(0, 1, 0);
  #position = 0;
  #idle = 0;
  #turned = -Infinity;

  /** @param {HTMLElement} scroller @param {HTMLElement} spacer @param {Reader} reader */
  constructor(scroller, spacer, reader) {
    this.scroller = scroller;
    this.spacer = spacer;
    this.reader = reader;
    /** Whether rows all have the height that `fit` was told. */
    this.isEven = true;
    const passive = { passive: true };
    const turn = () => (this.#turned = performance.now());
    scroller.addEventListener("scroll", () => this.#scrolled(), passive);
    scroller.addEventListener("wheel", turn, passive);
    scroller.addEventListener("touchmove", turn, passive);
  }

  close() {
    clearTimeout(this.#idle);
  }

  /** Make the bar fit a list of `count` rows of which `view` pixels are seen. */
  fit(count, rowHeight, view) {
    this.#scale = scaleOf(count, rowHeight, view);
    this.spacer.style.height = `${this.#scale.height - view}px`;
  }

  get canMove() {
    return this.#scale.end > 0;
  }

  /** Put the bar to the place of the list; Infinity is its end. */
  mirror(logical) {
    const position = toPosition(this.#scale, Math.min(logical, this.#scale.logicalEnd));
    if (Math.abs(this.scroller.scrollTop - position) >= 1) {
      this.scroller.scrollTop = position;
    }
    this.#position = this.scroller.scrollTop;
  }

  #scrolled() {
    const position = this.scroller.scrollTop;
    const step = position - this.#position;
    if (Math.abs(step) < 1) return;
    this.#position = position;
    this.#tell(position, step);
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.reader.rest(), IDLE_MS);
  }

  #tell(position, step) {
    const scale = this.#scale;
    const isDirect = this.isEven && isExact(scale);
    // A wheel at the end of the bar may still have rows below, if these are higher
    // than was thought; a hand that drags the bar to its end wants the end.
    const isTurning = performance.now() - this.#turned < TURNING_MS;
    const isSmall = Math.abs(step) < scale.jump && !isDirect;
    if (position >= scale.end - 1 && !(isSmall && isTurning)) this.reader.toEnd();
    else if (position <= 0) this.reader.toStart();
    else if (isSmall) this.reader.step(step);
    else this.reader.jump(toLogical(scale, position));
  }
}
