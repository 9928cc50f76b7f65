/**
 * What stands above the script's own lines: a row that says how its environment was
 * made, and the lines of that, which it hides or shows. Rows are counted with it.
 */

export class Head {
  /** Whether its lines are hidden. */
  isFolded = false;

  /** @param {{title: string, lines: number}} head  As runs/log_views.py tells it. */
  constructor({ title, lines }) {
    this.title = title;
    this.lines = lines;
  }

  /** How much higher the row of a line is than the line, which may be below zero. */
  get #shift() {
    return this.isFolded ? 1 - this.lines : 1;
  }

  /** The number of rows that `count` lines take. */
  rows(count) {
    return Math.max(1, count + this.#shift);
  }

  /** The line of a row; -1 for the head's own. */
  lineOf(row) {
    return row === 0 ? -1 : row - this.#shift;
  }

  /** The row of a line, or that of the head where the line is hidden. */
  rowOf(line) {
    return this.hides(line) ? 0 : line + this.#shift;
  }

  hides(line) {
    return this.isFolded && line < this.lines;
  }
}
