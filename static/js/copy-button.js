/**
 * Copies the code that is visible in the element that `data-from` names by its id.
 *
 * @example
 * <copy-button data-from="preview">
 *   <button type="button"><span>Copy</span></button>
 * </copy-button>
 * <div id="preview"><pre>…</pre></div>
 */

const TOLD_FOR_MS = 1500;

class CopyButton extends HTMLElement {
  connectedCallback() {
    this.firstElementChild.addEventListener("click", () => this.#copy());
  }

  async #copy() {
    const label = this.firstElementChild.querySelector("span");
    const codes = document.querySelectorAll(`#${this.dataset.from} pre`);
    const text = [...codes].find((code) => code.checkVisibility())?.textContent ?? "";
    label.textContent = (await put(text)) ? "Copied" : "Press Ctrl+C";
    setTimeout(() => {
      label.textContent = "Copy";
    }, TOLD_FOR_MS);
  }
}

/** Browsers offer the clipboard only to addresses that they hold for secure. */
async function put(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return putBySelection(text);
  }
}

function putBySelection(text) {
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "visually-hidden";
  const before = document.activeElement;
  document.body.append(field);
  field.select();
  const isDone = document.execCommand("copy");
  field.remove();
  before?.focus({ preventScroll: true });
  return isDone;
}

customElements.define("copy-button", CopyButton);
