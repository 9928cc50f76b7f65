/**
 * A text field with a list of proposals that narrows as one types; any other text is
 * allowed too. Without this module the field uses its `<datalist>` by itself.
 *
 * @example
 * <combo-box>
 *   <input id="script" name="script" list="scripts">
 *   <datalist id="scripts"><option value="train.py"></option></datalist>
 * </combo-box>
 */

const MOST_SHOWN = 100;

/**
 * The options that contain each word of `text`, those that begin with it first.
 *
 * @param {string[]} options
 * @param {string} text
 * @returns {string[]}
 */
export function narrow(options, text) {
  const whole = text.trim().toLowerCase();
  const words = whole.split(/\s+/).filter(Boolean);
  const rank = (option) => (option.toLowerCase().startsWith(whole) ? 0 : 1);
  return options
    .filter((option) => words.every((word) => option.toLowerCase().includes(word)))
    .map((option, place) => ({ option, place }))
    .sort((a, b) => rank(a.option) - rank(b.option) || a.place - b.place)
    .map(({ option }) => option);
}

class ComboBox extends (globalThis.HTMLElement ?? Object) {
  #active = -1;

  connectedCallback() {
    if (this.list) return;
    this.input = this.querySelector("input");
    this.source = this.querySelector("datalist");
    this.list = document.createElement("ul");
    this.list.className = "combo-list";
    this.list.id = `${this.input.id}-options`;
    this.list.role = "listbox";
    this.list.hidden = true;
    this.list.ariaLabel = this.dataset.label ?? "";
    this.append(this.list);
    this.#describe();
    this.input.addEventListener("input", () => this.#open(this.input.value));
    this.input.addEventListener("click", () => this.#open(""));
    this.input.addEventListener("keydown", (event) => this.#key(event));
    this.input.addEventListener("blur", () => this.#close());
    // Before the field loses the focus, and with it the list.
    this.list.addEventListener("pointerdown", (event) => this.#press(event));
  }

  /** @returns {string[]} */
  get options() {
    return [...this.source.options].map((option) => option.value);
  }

  set options(values) {
    this.source.replaceChildren(
      ...values.map((value) => Object.assign(document.createElement("option"), { value })),
    );
  }

  #describe() {
    const { input } = this;
    input.removeAttribute("list");
    input.autocomplete = "off";
    input.role = "combobox";
    input.ariaAutoComplete = "list";
    input.ariaExpanded = "false";
    input.setAttribute("aria-controls", this.list.id);
  }

  #open(text) {
    const found = narrow(this.options, text);
    this.#active = -1;
    this.list.replaceChildren(
      ...found.slice(0, MOST_SHOWN).map((value, place) => this.#option(value, place)),
    );
    const left = found.length - MOST_SHOWN;
    if (left > 0) this.list.append(remark(`${left} more: type to narrow the list`));
    this.#show(found.length > 0 && !(found.length === 1 && found[0] === this.input.value));
  }

  #option(value, place) {
    const item = document.createElement("li");
    item.role = "option";
    item.id = `${this.list.id}-${place}`;
    item.textContent = value;
    item.dataset.value = value;
    item.ariaSelected = String(value === this.input.value);
    return item;
  }

  #show(isOpen) {
    this.list.hidden = !isOpen;
    this.input.ariaExpanded = String(isOpen);
    if (isOpen) this.list.scrollIntoView({ block: "nearest" });
    if (!isOpen) this.input.removeAttribute("aria-activedescendant");
  }

  #close() {
    this.#show(false);
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.isComposing) return;
    const isOpen = !this.list.hidden;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (isOpen) this.#move(event.key === "ArrowDown" ? 1 : -1);
      else this.#open("");
    } else if (event.key === "Enter" && isOpen) {
      event.preventDefault();
      if (this.#active >= 0) this.#pick(this.#items()[this.#active]);
      else this.#close();
    } else if (event.key === "Escape" && isOpen) {
      event.preventDefault();
      event.stopPropagation();
      this.#close();
    }
  }

  #items() {
    return [...this.list.querySelectorAll("[role=option]")];
  }

  #move(step) {
    const items = this.#items();
    this.#active = (this.#active + step + items.length) % items.length;
    items.forEach((item, place) => {
      item.classList.toggle("active", place === this.#active);
    });
    const item = items[this.#active];
    item.scrollIntoView({ block: "nearest" });
    this.input.setAttribute("aria-activedescendant", item.id);
  }

  #press(event) {
    event.preventDefault();
    const item = event.target.closest("[role=option]");
    if (item) this.#pick(item);
  }

  #pick(item) {
    this.input.value = item.dataset.value;
    this.#close();
    this.input.dispatchEvent(new Event("input", { bubbles: true }));
    this.#close();
    this.input.dispatchEvent(new Event("change", { bubbles: true }));
  }
}

function remark(text) {
  const item = document.createElement("li");
  item.className = "combo-remark";
  item.role = "presentation";
  item.textContent = text;
  return item;
}

globalThis.customElements?.define("combo-box", ComboBox);
