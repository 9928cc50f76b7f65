/**
 * Rows of a name and a value that can be added and removed. A wrong name is told at
 * once, and the value of a name that looks secret is covered until it is revealed.
 *
 * @example see templates/runs/_pair_rows.html
 */

class PairRows extends HTMLElement {
  connectedCallback() {
    if (this.rows) return;
    this.rows = this.querySelector("[data-rows]");
    this.secret = this.dataset.secret && new RegExp(this.dataset.secret, "i");
    this.querySelector("[data-act=add]").hidden = false;
    this.addEventListener("click", (event) => this.#click(event));
    this.rows.addEventListener("input", () => this.#check());
    this.rows.addEventListener("keydown", (event) => this.#key(event));
    this.#check();
  }

  /** Why the form can't be sent, or "". */
  get problem() {
    return this.#rows.map((row) => row.dataset.problem).find(Boolean) ?? "";
  }

  get #rows() {
    return [...this.rows.children];
  }

  #check() {
    const seen = new Set();
    for (const row of this.#rows) {
      const [name, value] = fields(row);
      this.#tell(row, name, this.#problemOf(name, value, seen));
      seen.add(name.value.trim());
      row.querySelector("[data-act=remove]").hidden = false;
      if (value.matches("textarea")) value.rows = Math.min(Math.max(value.value.split("\n").length, 1), 12);
      if (this.secret) this.#cover(row, name, value);
    }
    this.rows.hidden = this.rows.children.length === 0;
  }

  #problemOf(name, value, seen) {
    const text = name.value.trim();
    if (!text) return value.value ? `${this.dataset.what} has a value and no name.` : "";
    if (value.matches("select") && !value.value) return `Choose a secret for ${text}.`;
    if (name.pattern && !new RegExp(`^(?:${name.pattern})$`).test(text)) {
      return `“${text}” is not a name: ${this.dataset.rule}`;
    }
    return seen.has(text) ? `${text} is given twice.` : "";
  }

  #tell(row, name, problem) {
    row.dataset.problem = problem;
    row.querySelector("[data-hint]").textContent = problem;
    name.ariaInvalid = String(Boolean(problem));
  }

  #cover(row, name, value) {
    const button = row.querySelector("[data-act=reveal]");
    const isSecret = this.secret.test(name.value.trim());
    button.hidden = !isSecret;
    const isCovered = isSecret && button.ariaPressed !== "true";
    value.classList.toggle("covered", isCovered);
    value.setAttribute("aria-description", isCovered ? "The value is covered." : "");
  }

  #click(event) {
    const button = event.target.closest("[data-act]");
    if (!button) return;
    const row = button.closest("[data-row]");
    if (button.dataset.act === "add") this.#add();
    if (button.dataset.act === "remove") this.#remove(row);
    if (button.dataset.act === "reveal") {
      button.ariaPressed = String(button.ariaPressed !== "true");
      this.#check();
    }
  }

  #key(event) {
    if (event.key !== "Enter" || event.shiftKey || event.ctrlKey || event.metaKey) return;
    if (event.isComposing || !event.target.matches("input, textarea, select")) return;
    event.preventDefault();
    const [name, value] = fields(event.target.closest("[data-row]"));
    if (event.target === name) value.focus();
    else this.#add();
  }

  #add() {
    const template = this.querySelector("template");
    this.rows.append(template.content.cloneNode(true));
    this.#check();
    fields(this.rows.lastElementChild)[0].focus();
  }

  #remove(row) {
    const next = row.nextElementSibling ?? row.previousElementSibling;
    row.remove();
    this.#check();
    if (next) fields(next)[0].focus();
    else this.querySelector("[data-act=add]").focus();
    this.dispatchEvent(new Event("change", { bubbles: true }));
  }
}

function fields(row) {
  return [row.querySelector("input"), row.querySelector("textarea, select")];
}

customElements.define("pair-rows", PairRows);
