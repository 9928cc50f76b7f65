/**
 * Where the source of a run comes from: a folder, an archive or a single script,
 * dropped or chosen. A folder is looked at here first, and what the portal lacks of it
 * is sent with the form; an archive is sent at once, since only the portal can read it.
 *
 * Tells `source-changed` with {files, scripts} once the files are known.
 *
 * @example see templates/runs/_source.html
 */

import { formatBytes, formatPlural } from "../log/format.js";
import { largestOf, nothingIn, readDrop, readInput } from "../upload/folder.js";
import { readGitFacts } from "../upload/git-facts.js";
import { send } from "../upload/send.js";
import { Source } from "../upload/source.js";
import { importRepository } from "./git-import.js";

const MOST_LISTED = 1000;
const ARCHIVE = /\.(zip|tar|tgz|tbz2?|txz|gz|bz2|xz|zst|7z)$/i;

class SourceDrop extends HTMLElement {
  connectedCallback() {
    if (this.find) return;
    this.find = (name) => this.querySelector(`[data-part=${name}]`);
    this.config = JSON.parse(this.find("config").textContent);
    this.snapshot = this.querySelector("[name=snapshot]");
    this.git = this.querySelector("[name=git]");
    this.archive = this.find("archive");
    // With this module the file is sent by itself, not with the form.
    this.archive.removeAttribute("name");
    this.#listen();
    this.#say("");
    this.#become(this.snapshot.value ? "kept" : "empty");
    if (this.snapshot.value) this.#tell(JSON.parse(this.find("known").textContent));
    if (this.snapshot.value) this.#lookAt(this.snapshot.value);
  }

  disconnectedCallback() {
    this.leaving?.abort();
    this.working?.abort();
  }

  /** Why the form can't be sent, or "". */
  get problem() {
    if (this.state === "kept") return "";
    if (this.state === "busy") return "The source is still being read.";
    return "Choose a source first.";
  }

  /** Whether `send` has to be called before the form is sent. */
  get isWaiting() {
    return Boolean(this.source) && !this.source.isThere;
  }

  /**
   * Send what the portal lacks of the source. Rejects with an Error for a person.
   *
   * @param {(said: string) => void} onSaid told how far it is
   */
  async send(onSaid) {
    const working = this.#begin();
    this.onSaid = onSaid;
    const { missing_bytes: total } = this.source.answer;
    try {
      this.#progress("sent", 0, total);
      await this.source.send({
        signal: working.signal,
        onProgress: (sent) => this.#progress("sent", sent, total),
        onLost: (seconds) =>
          this.#say(`The connection was lost. Trying again in ${seconds} s…`),
      });
      this.snapshot.value = this.source.answer.snapshot;
      this.#become("kept");
    } catch (error) {
      this.#become("kept");
      this.#say("");
      this.#fail(
        isStop(error)
          ? "Sending was stopped. Submit again, and only the rest is sent."
          : error.message,
      );
      throw error;
    }
  }

  #listen() {
    this.leaving = new AbortController();
    const { signal } = this.leaving;
    const on = (target, type, handle) => target.addEventListener(type, handle, { signal });
    on(this, "click", (event) => this.#click(event));
    on(this, "keydown", (event) => this.#key(event));
    on(this.find("folder"), "change", (event) => this.#chosen(event.target));
    on(this.archive, "change", (event) => this.#chosen(event.target));
    // Wherever on the page it is dropped; else the browser would open the file.
    on(window, "dragover", (event) => this.#hover(event));
    on(window, "dragleave", (event) => event.relatedTarget ?? this.#hovers(false));
    on(window, "drop", (event) => this.#drop(event));
    this.experiment = this.closest("form").elements.experiment;
    on(this.experiment, "change", () => this.#lookAgain());
  }

  #click(event) {
    const button = event.target.closest("[data-act], [data-kind]");
    const { act, kind, snapshot } = button?.dataset ?? {};
    if (kind) this.#offerKind(kind);
    if (act === "earlier") this.#fetch(this.#addressOf(this.config.urls.earlier, snapshot));
    if (act === "path") this.#fetch(this.config.urls.folder, { path: this.find("path").value });
    if (act === "git") this.#import();
    if (act === "folder") this.find("folder").click();
    if (act === "file") this.archive.click();
    if (act === "stop") this.working.abort();
    if (act === "back") this.#become("kept");
    if (act === "replace") {
      this.#become("empty");
      this.querySelector("[aria-pressed=true]").focus();
    }
  }

  #offerKind(kind) {
    for (const each of this.querySelectorAll("[data-kind]")) {
      each.ariaPressed = String(each.dataset.kind === kind);
    }
    for (const each of this.querySelectorAll("[data-panel]")) {
      each.hidden = each.dataset.panel !== kind;
    }
    this.#fail("");
  }

  #key(event) {
    if (event.key !== "Enter" || !event.target.matches("input[data-part]:not([type=file])")) return;
    const button = event.target.closest("[data-panel]")?.querySelector("[data-act]");
    event.preventDefault();
    button?.click();
  }

  #hover(event) {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    this.#hovers(true);
  }

  #hovers(isOver) {
    this.classList.toggle("is-over", isOver);
  }

  #drop(event) {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    this.#hovers(false);
    this.#take(readDrop(event.dataTransfer, this.#options));
  }

  #chosen(input) {
    const files = [...input.files];
    // So that the same can be chosen once more.
    input.value = "";
    if (files.length > 0) this.#take(readInput(files, this.#options));
  }

  get #options() {
    const onFound = (count) => {
      if (count % 100 === 0) this.#say(`${formatPlural(count, "file")} found…`);
    };
    const { defaults, max_files: maxFiles } = this.config;
    return { defaults, maxFiles, onFound };
  }

  /** Take what was given, in place of anything that is still looked at. */
  async #take(reading) {
    const working = this.#begin();
    this.#say("Looking for files…");
    try {
      const folder = await reading;
      working.signal.throwIfAborted();
      if (folder.files.length === 0) throw new Error(nothingIn(folder));
      const [{ path, file }] = folder.files;
      const isArchive = folder.files.length === 1 && ARCHIVE.test(path);
      const source = isArchive ? null : await this.#prepared(folder, working.signal);
      const found = source?.answer ?? (await this.#sendArchive(file, working.signal));
      if (this.working === working) this.#keep(source, found);
    } catch (error) {
      if (this.working !== working) return;
      this.#become(this.isKept ? "kept" : "empty");
      this.#say("");
      this.#fail(isStop(error) ? "This was stopped; nothing was sent." : error.message);
    }
  }

  /** Take a source that the portal has, or reads by itself. */
  #fetch(url, asked = {}) {
    return this.#get("The portal looks at it…", "path" in asked, (signal) =>
      send(url, new URLSearchParams(asked), { signal }),
    );
  }

  /** Take a git repository, which the portal fetches. */
  #import() {
    const names = ["address", "reference", "folder"];
    const asked = Object.fromEntries(
      names.map((name) => [name, this.find(`git-${name}`).value]),
    );
    const onSaid = (said) => this.#say(said);
    return this.#get("Fetching…", true, (signal) =>
      importRepository(this.config.urls.git, asked, { signal, onSaid }),
    );
  }

  /** Take what `get` gives; what was typed can be corrected when it fails. */
  async #get(said, isTyped, get) {
    const working = this.#begin();
    this.#say(said);
    try {
      const found = await get(working.signal);
      if (this.working === working) this.show(found);
    } catch (error) {
      if (this.working !== working) return;
      this.#become(this.isKept && !isTyped ? "kept" : "empty");
      this.#say("");
      this.#fail(isStop(error) ? "This was stopped." : error.message);
      if (isTyped) this.querySelector("[data-panel]:not([hidden]) input").focus();
    }
  }

  /** Take a source that the portal has: see Upload.to_json in runs/uploads.py. */
  show(found) {
    this.#keep(null, found);
  }

  /** Stop what is going on, and show that something else is. */
  #begin() {
    this.working?.abort();
    this.working = new AbortController();
    this.onSaid = null;
    this.find("bar").removeAttribute("value");
    this.#fail("");
    this.#become("busy");
    return this.working;
  }

  async #prepared(folder, signal) {
    if (folder.totalBytes > this.config.max_bytes) throw tooLarge(folder, this.config);
    const source = new Source(folder, this.config);
    const onProgress = (bytes) => this.#progress("read", bytes, folder.totalBytes);
    await source.prepare({ signal, onProgress });
    this.git.value = JSON.stringify(await readGitFacts(folder.git));
    return source;
  }

  async #sendArchive(file, signal) {
    const { max_upload: most, max_size: size } = this.config;
    if (file.size > most) {
      throw new Error(
        `“${file.name}” has ${formatBytes(file.size)}, and a snapshot holds at most ${size}. ` +
          "Make the archive again without what the script does not need.",
      );
    }
    return send(`${this.config.urls.upload}?name=${encodeURIComponent(file.name)}`, file, {
      headers: { "Content-Type": "application/octet-stream" },
      onProgress: (sent, total) => this.#progress("sent", sent, total),
      signal,
    });
  }

  #progress(done, count, total) {
    const bar = this.find("bar");
    if (count >= total) {
      bar.removeAttribute("value");
      this.#say(`${formatBytes(total)} ${done}; the portal looks at it…`);
      return;
    }
    bar.value = count / total;
    this.#say(`${formatBytes(count)} of ${formatBytes(total)} ${done}`);
  }

  /** Show what was found, as the portal described it. */
  #keep(source, found) {
    this.source = source;
    // What the portal read by itself, it knows more about.
    if (!source) this.git.value = "";
    this.isKept = true;
    this.snapshot.value = found.snapshot;
    const count = formatPlural(found.files.length, "file");
    this.find("name").textContent = found.name;
    this.find("facts").textContent = `${count}, ${formatBytes(found.bytes)}${remark(found)}`;
    const leftOut = found.left_out.map(({ path, rule }) => [path, rule]);
    const leftOutCount = found.left_out_count ?? leftOut.length;
    this.#list(this.find("left-out"), leftOut, leftOutCount);
    this.find("left-out-box").hidden = leftOutCount === 0;
    this.find("left-out-count").textContent = leftOutCount.toLocaleString("en");
    this.#warn("secrets", Object.entries(found.secrets));
    for (const name of ["submodules", "pointers"]) {
      this.#warn(name, (found[name] ?? []).map((path) => [path]));
    }
    this.find("flattened").hidden = !found.flattened;
    this.#become("kept");
    this.#say(`${found.name}: ${count}, ${formatBytes(found.bytes)}.`);
    this.#tell(found);
    this.#lookAt(found.manifest);
  }

  #warn(name, pairs) {
    this.#list(this.find(name), pairs, pairs.length);
    this.find(`${name}-box`).hidden = pairs.length === 0;
  }

  /** A path and a remark in each line. */
  #list(list, pairs, count) {
    const items = pairs.slice(0, MOST_LISTED).map((pair) => item(...pair));
    const left = count - items.length;
    list.replaceChildren(...items, ...(left > 0 ? [item(`… and ${left} more`)] : []));
  }

  #lookAgain() {
    if (this.manifest) this.#lookAt(this.manifest);
  }

  /** Show the tree, and what is new in it since the last run of the experiment. */
  #lookAt(manifest) {
    this.manifest = manifest;
    const url = this.#addressOf(this.config.urls.preflight, manifest);
    const experiment = encodeURIComponent(this.experiment.value);
    const target = this.find("preflight");
    globalThis.htmx?.ajax("GET", `${url}?experiment=${experiment}`, {
      source: target,
      target,
      swap: "innerHTML",
    });
  }

  #addressOf(url, sha256) {
    return url.replace("0".repeat(64), sha256);
  }

  #tell({ files, scripts }) {
    const detail = { files, scripts };
    this.dispatchEvent(new CustomEvent("source-changed", { bubbles: true, detail }));
  }

  #become(state) {
    this.state = state;
    this.isKept ||= state === "kept";
    this.find("back").hidden = !this.isKept;
    for (const each of ["empty", "busy", "kept"]) this.find(each).hidden = each !== state;
    this.dispatchEvent(new Event("change", { bubbles: true }));
  }

  #say(text) {
    this.find("said").textContent = text;
    if (this.state === "busy") this.onSaid?.(text);
  }

  #fail(text) {
    this.find("trouble").textContent = text;
    this.find("trouble").hidden = !text;
  }
}

function isStop(error) {
  return error.name === "AbortError";
}

/** What else is to be known of it: which commit it is, or how much is to be sent. */
function remark({ branch, commit, missing, missing_bytes: bytes }) {
  if (commit) return `; commit ${commit.slice(0, 8)}${branch ? ` of ${branch}` : ""}`;
  if (!missing) return "";
  if (missing.length === 0) return "; the portal has all of it";
  return `; ${formatPlural(missing.length, "file")}, ${formatBytes(bytes)}, to be sent`;
}

/** Told before anything is sent, with what makes it so large. */
function tooLarge({ files, totalBytes }, { max_size: most }) {
  return new Error(
    `The source has ${formatBytes(totalBytes)}, and a snapshot holds at most ${most}. ` +
      `Leave out what the script does not need. The largest: ${largestOf(files)}.`,
  );
}

function item(text, remark = "") {
  const element = document.createElement("li");
  element.textContent = text;
  if (remark) {
    const note = document.createElement("span");
    note.className = "muted";
    note.textContent = remark;
    element.append(" ", note);
  }
  return element;
}

customElements.define("source-drop", SourceDrop);
