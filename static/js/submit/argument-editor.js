/**
 * The arguments of a script as rows and as one command line, each kept in step with the
 * other. What is sent is a JSON list in the hidden field: the text fields of a browser
 * change line ends.
 *
 * @example see templates/runs/_arguments.html
 */

import { join, split } from "./arguments.js";

const HINTS = {
  quote: "A quote is not closed yet, so the arguments above are still the last ones.",
  escape: "The line ends in a backslash, so the arguments above are still the last ones.",
};

class ArgumentEditor extends HTMLElement {
  connectedCallback() {
    if (this.rows) return;
    this.kept = this.querySelector("input[type=hidden]");
    this.rows = this.querySelector("[data-rows]");
    this.line = this.querySelector("[data-line]");
    this.hint = this.querySelector("[data-hint]");
    this.words = JSON.parse(this.kept.value || this.dataset.initial);
    this.line.value = join(this.words);
    this.#draw();
    this.#say(null);
    this.#keep();
    this.querySelector("[data-typed]").hidden = false;
    this.line.addEventListener("input", () => this.#readLine());
    this.line.addEventListener("paste", (event) => this.#paste(event));
    this.rows.addEventListener("input", (event) => this.#readRow(event));
    this.rows.addEventListener("keydown", (event) => this.#key(event));
    this.addEventListener("click", (event) => this.#click(event));
  }

  /** Why the form can't be sent, or "". */
  get problem() {
    return this.error ? "Finish the command line: a quote is not closed." : "";
  }

  #readLine() {
    const { arguments: words, error } = split(this.line.value);
    this.#say(error);
    if (error) return;
    this.words = words;
    this.#draw();
    this.#keep();
  }

  #readRow(event) {
    this.words[this.#place(event.target)] = event.target.value;
    fit(event.target);
    this.#showLine();
  }

  #say(error) {
    this.error = error;
    this.hint.textContent = error ? HINTS[error] : "";
    this.line.ariaInvalid = String(Boolean(error));
  }

  #showLine() {
    this.line.value = join(this.words);
    fit(this.line);
    this.#say(null);
    this.#keep();
  }

  #keep() {
    this.kept.value = JSON.stringify(this.words);
    this.kept.dispatchEvent(new Event("change", { bubbles: true }));
  }

  /** Line ends that a shell would skip would otherwise become arguments. */
  #paste(event) {
    const text = event.clipboardData.getData("text/plain");
    if (!/\\\r?\n/.test(text)) return;
    event.preventDefault();
    const { selectionStart, selectionEnd } = this.line;
    this.line.setRangeText(
      text.replace(/[ \t]*\\\r?\n[ \t]*/g, " "),
      selectionStart,
      selectionEnd,
      "end",
    );
    this.line.dispatchEvent(new Event("input", { bubbles: true }));
  }

  #draw() {
    const template = this.querySelector("template");
    while (this.rows.children.length > this.words.length) {
      this.rows.lastElementChild.remove();
    }
    while (this.rows.children.length < this.words.length) {
      this.rows.append(template.content.cloneNode(true));
    }
    this.words.forEach((word, place) => this.#drawRow(place, word));
    this.rows.hidden = this.words.length === 0;
    fit(this.line);
  }

  #drawRow(place, word) {
    const row = this.rows.children[place];
    const field = row.querySelector("textarea");
    if (field.value !== word) field.value = word;
    field.ariaLabel = `Argument ${place + 1}`;
    row.querySelector("[data-number]").textContent = place + 1;
    row.querySelector("[data-act=up]").disabled = place === 0;
    row.querySelector("[data-act=down]").disabled = place === this.words.length - 1;
    fit(field);
  }

  #place(inside) {
    return [...this.rows.children].indexOf(inside.closest("[data-row]"));
  }

  #focus(place) {
    this.rows.children[place]?.querySelector("textarea").focus();
  }

  #click(event) {
    const act = event.target.closest("[data-act]")?.dataset.act;
    if (!act) return;
    const place = this.#place(event.target.closest("[data-row]") ?? this);
    if (act === "add") this.#insert(this.words.length);
    if (act === "remove") this.#remove(place);
    if (act === "up") this.#move(place, place - 1);
    if (act === "down") this.#move(place, place + 1);
  }

  #key(event) {
    if (event.target.tagName !== "TEXTAREA" || event.isComposing) return;
    const place = this.#place(event.target);
    if (event.key === "Enter" && !event.shiftKey && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      this.#insert(place + 1);
    } else if (event.key === "Backspace" && event.target.value === "") {
      event.preventDefault();
      this.#remove(place);
    } else if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
      event.preventDefault();
      this.#move(place, place + (event.key === "ArrowUp" ? -1 : 1));
    }
  }

  #insert(place) {
    this.words.splice(place, 0, "");
    this.#changed(place);
  }

  #remove(place) {
    this.words.splice(place, 1);
    this.#changed(Math.max(place - 1, 0));
    if (this.words.length === 0) this.querySelector("[data-act=add]").focus();
  }

  #move(from, to) {
    if (to < 0 || to >= this.words.length) return;
    this.words.splice(to, 0, ...this.words.splice(from, 1));
    this.#changed(to);
  }

  #changed(place) {
    this.#draw();
    this.#showLine();
    this.#focus(place);
  }
}

/** As high as its lines, for browsers that don't do it by style. */
function fit(field) {
  field.rows = Math.min(Math.max(field.value.split("\n").length, 1), 12);
}

customElements.define("argument-editor", ArgumentEditor);
