/**
 * Adds the package that one picks or types as a line to a list of packages. Without
 * this module the lines are typed into the list itself.
 *
 * @example see templates/environments/_form_packages.html
 */

import "./combo-box.js";

/**
 * The lines of a requirements file with one more, unless its package is there already.
 *
 * @param {string} text
 * @param {string} line
 * @returns {string}
 */
export function withLine(text, line) {
  const lines = text.split("\n").map((each) => each.trimEnd());
  while (lines.length && !lines.at(-1)) lines.pop();
  if (!lines.some((each) => nameOf(each) === nameOf(line))) lines.push(line.trim());
  return lines.join("\n");
}

/** The name of a package as the index knows it: "Scikit_Learn>=1" is "scikit-learn". */
export function nameOf(line) {
  const name = /^\s*([A-Za-z0-9][A-Za-z0-9._-]*)/.exec(line)?.[1] ?? "";
  return name.toLowerCase().replace(/[-_.]+/g, "-");
}

class PackageLines extends (globalThis.HTMLElement ?? Object) {
  connectedCallback() {
    if (this.input) return;
    this.input = this.querySelector("input");
    this.lines = document.getElementById(this.dataset.for);
    this.querySelector("button").addEventListener("click", () => this.#add());
    this.input.addEventListener("keydown", (event) => {
      // The list of proposals takes the key while it is open.
      if (event.key !== "Enter" || event.defaultPrevented) return;
      event.preventDefault();
      this.#add();
    });
  }

  #add() {
    if (!nameOf(this.input.value)) return;
    this.lines.value = withLine(this.lines.value, this.input.value);
    this.lines.dispatchEvent(new Event("input", { bubbles: true }));
    this.input.value = "";
    this.input.focus();
  }
}

globalThis.customElements?.define("package-lines", PackageLines);
