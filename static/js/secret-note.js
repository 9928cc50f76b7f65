/**
 * Says so as soon as a text gives a value to a name that looks like a secret.
 *
 * @example
 * <secret-note data-for="id_variables" data-names="(^|_)TOKEN($|_)" role="status">
 *   <p hidden>Everybody can read this.</p>
 * </secret-note>
 */

const PAIR = /(?:^|[{,])[ \t]*["']?([A-Za-z_][A-Za-z0-9_]*)["']?[ \t]*[:=][ \t]*[^\s[{]/gm;

/**
 * Whether a text has a name with a value that `secret` fits, as NAME=value, YAML or JSON.
 *
 * @param {string} text
 * @param {RegExp} secret
 * @returns {boolean}
 */
export function hasSecret(text, secret) {
  return [...text.matchAll(PAIR)].some(([, name]) => secret.test(name));
}

class SecretNote extends (globalThis.HTMLElement ?? Object) {
  connectedCallback() {
    if (this.text) return;
    this.text = document.getElementById(this.dataset.for);
    this.secret = new RegExp(this.dataset.names, "i");
    this.text.addEventListener("input", () => this.#look());
    this.#look();
  }

  #look() {
    this.firstElementChild.hidden = !hasSecret(this.text.value, this.secret);
  }
}

globalThis.customElements?.define("secret-note", SecretNote);
