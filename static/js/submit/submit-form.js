/**
 * The form that submits a run: says what is still missing, sends once, and keeps
 * everything typed whatever the answer is. htmx sends; this only allows or refuses.
 *
 * @example see templates/runs/submit.html
 */

import "../combo-box.js";
import "./argument-editor.js";
import "./pair-rows.js";
import "./source-drop.js";
import { guess } from "./guess.js";

const PARTS = "source-drop, argument-editor, pair-rows, [data-missing]";

class SubmitForm extends HTMLElement {
  connectedCallback() {
    if (this.form) return;
    this.form = this.querySelector("form");
    this.button = this.querySelector("[data-submit]");
    this.reason = this.querySelector("[data-reason]");
    // Before htmx, which listens on the form itself.
    this.addEventListener("submit", (event) => this.#submit(event), { capture: true });
    this.addEventListener("input", () => this.#look());
    this.addEventListener("change", () => {
      this.#showOptions();
      this.#look();
    });
    this.addEventListener("keydown", (event) => this.#key(event));
    this.addEventListener("htmx:beforeRequest", (event) => this.#sending(event));
    this.addEventListener("htmx:beforeSwap", (event) => this.#answered(event));
    this.addEventListener("htmx:afterRequest", (event) => this.#done(event));
    // How the typed durations are understood comes with the preview.
    this.addEventListener("htmx:afterSettle", () => this.#look());
    // A page that is shown again, by "back", is a new submission.
    addEventListener("pageshow", () => this.#renew());
    this.addEventListener("source-changed", (event) => this.#offer(event.detail));
    this.#showOptions();
    this.#look();
  }

  /** Show what can be chosen on the target that is picked, and send that alone. */
  #showOptions() {
    const target = this.form.querySelector("[name=target]:checked");
    const kind = target?.dataset.kind;
    for (const options of this.form.querySelectorAll("[data-options]")) {
      options.hidden = options.disabled = options.dataset.options !== kind;
    }
    const gpus = this.form.elements.gpus;
    if (!gpus) return;
    gpus.disabled = !("gpus" in (target?.dataset ?? {}));
    gpus.closest("[data-needs-gpus]").hidden = gpus.disabled;
  }

  #renew() {
    this.form.elements.token.value = randomId();
    this.isSent = false;
    this.#look();
  }

  #offer({ files, scripts }) {
    const script = this.form.elements.script;
    script.closest("combo-box").options = scripts;
    this.files = new Set(files);
    script.dataset.missing =
      scripts.length > 0 ? "Pick the script to run." : "Name the file to run: none is Python.";
    if (!script.value || !this.files.has(script.value)) {
      script.value = guess(scripts);
      script.dispatchEvent(new Event("change", { bubbles: true }));
    }
    this.#look();
  }

  #problem() {
    for (const part of this.querySelectorAll(PARTS)) {
      const problem = part.problem ?? problemOf(part);
      if (problem) return { part, problem };
    }
    const script = this.form.elements.script;
    if (this.files && !this.files.has(script.value)) {
      return { part: script, problem: `“${script.value}” is not one of the files.` };
    }
    return null;
  }

  #look() {
    const found = this.#problem();
    const isBlocked = Boolean(found) || this.isSent;
    this.button.ariaDisabled = String(isBlocked);
    const said = this.isSent ? "Submitting…" : (found?.problem ?? this.#summary());
    if (this.reason.textContent !== said) this.reason.textContent = said;
    this.reason.classList.toggle("is-ready", !found);
  }

  #summary() {
    const { script, experiment } = this.form.elements;
    return `Runs ${script.value} in ${experiment.value}.`;
  }

  #submit(event) {
    const found = this.#problem();
    const source = this.querySelector("source-drop");
    if (!found && !this.isSent && !source.isWaiting) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (found) reveal(found.part);
    else if (!this.isSent) this.#sendSource(source);
  }

  /** Only then the form. */
  async #sendSource(source) {
    this.isSent = true;
    this.#look();
    try {
      await source.send((said) => {
        this.reason.textContent = said;
      });
      this.isSent = false;
      this.form.requestSubmit(this.button);
    } catch {
      // The part with the source says why.
      this.isSent = false;
      source.scrollIntoView({ block: "center", behavior: "smooth" });
    }
    this.#look();
  }

  #key(event) {
    if (event.key !== "Enter" || event.isComposing) return;
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      this.form.requestSubmit(this.button);
    } else if (event.target.matches("input:not([type=radio], [type=checkbox])")) {
      // Too much is typed here to send it by a slip.
      event.preventDefault();
    }
  }

  #sending(event) {
    if (event.target !== this.form) return;
    this.isSent = true;
    this.#errors().replaceChildren();
    this.#look();
  }

  /** 422 brings the list of what is wrong; htmx would leave it out. */
  #answered(event) {
    if (event.detail.requestConfig?.elt !== this.form) return;
    if (event.detail.xhr.status !== 422) return;
    event.detail.shouldSwap = true;
    event.detail.isError = false;
  }

  #done(event) {
    if (event.target !== this.form) return;
    const { xhr } = event.detail;
    const isThrough = xhr.status >= 200 && xhr.status < 300;
    // The button stays off while the browser leaves for the run.
    if (isThrough) return;
    this.isSent = false;
    this.#look();
    if (xhr.status === 422) this.#mark();
    else this.#failed(xhr.status);
  }

  #failed(status) {
    const why = status
      ? `The portal answered with an error (${status}).`
      : "The portal did not answer.";
    const box = document.createElement("div");
    box.className = "alert-box alert-box-bad";
    box.role = "alert";
    box.textContent = `${why} Everything you typed is still here: try again.`;
    this.#errors().replaceChildren(box);
    box.scrollIntoView({ block: "center" });
  }

  #mark() {
    const box = this.#errors();
    box.querySelectorAll("[data-field]").forEach((item) => {
      const field = this.form.elements[item.dataset.field];
      field?.setAttribute?.("aria-invalid", "true");
      field?.addEventListener?.("input", () => field.removeAttribute("aria-invalid"), {
        once: true,
      });
    });
    box.firstElementChild?.focus();
  }

  #errors() {
    return this.querySelector("#submit-errors");
  }
}

function problemOf(field) {
  if (field.validity.valueMissing) return field.dataset.missing;
  if (field.validity.patternMismatch) return field.dataset.mismatch;
  const reading = document.getElementById(`reading-${field.name}`);
  if (reading?.classList.contains("field-error")) return reading.textContent.trim();
  return "";
}

function reveal(part) {
  part.closest("details")?.setAttribute("open", "");
  const invalid = part.querySelector?.("[aria-invalid=true]");
  const target =
    invalid ?? (part.matches("input, select") ? part : part.querySelector("button, input"));
  target?.focus();
  part.scrollIntoView({ block: "center", behavior: "smooth" });
}

/** `crypto.randomUUID` exists only on addresses that the browser holds for secure. */
function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

customElements.define("submit-form", SubmitForm);
