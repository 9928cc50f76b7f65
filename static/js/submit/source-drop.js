/**
 * Where the source of a run comes from: a folder, an archive or a single script,
 * dropped or chosen, and sent at once while the rest of the form is filled in.
 *
 * Tells `source-changed` with {files, scripts} once the portal has the source.
 *
 * @example see templates/runs/_source.html
 */

import { formatBytes, formatPlural } from "../log/format.js";
import { readDrop, readInput } from "../upload/folder.js";
import { send } from "../upload/send.js";
import { tar } from "../upload/tar.js";

const MOST_LISTED = 200;

class SourceDrop extends HTMLElement {
  connectedCallback() {
    if (this.find) return;
    this.find = (name) => this.querySelector(`[data-part=${name}]`);
    this.snapshot = this.querySelector("[name=snapshot]");
    this.archive = this.find("archive");
    // With this module the file is sent by itself, not with the form.
    this.archive.removeAttribute("name");
    this.#listen();
    this.#say("");
    this.#become(this.snapshot.value ? "kept" : "empty");
    if (this.snapshot.value) this.#tell(JSON.parse(this.find("known").textContent));
  }

  disconnectedCallback() {
    this.leaving?.abort();
    this.sending?.abort();
  }

  /** Why the form can't be sent, or "". */
  get problem() {
    if (this.state === "kept") return "";
    if (this.state === "busy") return "The source is still being sent.";
    return "Drop a folder, or choose a file first.";
  }

  #listen() {
    this.leaving = new AbortController();
    const { signal } = this.leaving;
    const on = (target, type, handle) => target.addEventListener(type, handle, { signal });
    on(this, "click", (event) => this.#click(event));
    on(this.find("folder"), "change", (event) => this.#chosen(event.target));
    on(this.archive, "change", (event) => this.#chosen(event.target));
    // Wherever on the page it is dropped; else the browser would open the file.
    on(window, "dragover", (event) => this.#hover(event));
    on(window, "dragleave", (event) => event.relatedTarget ?? this.#hovers(false));
    on(window, "drop", (event) => this.#drop(event));
  }

  #click(event) {
    const act = event.target.closest("[data-act]")?.dataset.act;
    if (act === "folder") this.find("folder").click();
    if (act === "file") this.archive.click();
    if (act === "stop") this.sending.abort();
    if (act === "back") this.#become("kept");
    if (act === "replace") {
      this.#become("empty");
      this.querySelector("[data-act=folder]").focus();
    }
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
    if (files.length > 0) this.#take((async () => readInput(files, this.#options))());
  }

  get #options() {
    const onFound = (count) => {
      if (count % 100 === 0) this.#say(`${formatPlural(count, "file")} found…`);
    };
    return { maxFiles: Number(this.dataset.maxFiles), onFound };
  }

  /** Read and send what was given, in place of anything that is still on its way. */
  async #take(reading) {
    this.sending?.abort();
    const sending = new AbortController();
    this.sending = sending;
    this.#become("busy");
    this.#say("Looking for files…");
    this.find("bar").removeAttribute("value");
    try {
      const folder = await reading;
      const kept = await this.#send(folder, sending.signal);
      if (this.sending === sending) this.#keep(kept, folder);
    } catch (error) {
      if (this.sending !== sending) return;
      const isStopped = error.name === "AbortError";
      this.#become(this.snapshot.value ? "kept" : "empty");
      this.#say("");
      this.#fail(isStopped ? "Sending was stopped; nothing was kept." : error.message);
    }
  }

  #send(folder, signal) {
    const single = folder.files.length === 1 && !folder.isFolder;
    if (folder.files.length === 0) throw new Error("There are no files in it.");
    if (folder.totalBytes > Number(this.dataset.maxBytes)) {
      throw new Error(
        `The source is larger than ${this.dataset.maxSize}, the most that a snapshot ` +
          "may hold. Leave out what the script does not need.",
      );
    }
    const body = single ? folder.files[0].file : tar(folder.files);
    const name = folder.name || "files";
    this.began = performance.now();
    return send(`${this.dataset.url}?name=${encodeURIComponent(name)}`, body, {
      headers: { "Content-Type": "application/octet-stream" },
      onProgress: (sent, total) => this.#progress(sent, total, folder.files.length),
      signal,
    });
  }

  #progress(sent, total, count) {
    const bar = this.find("bar");
    const files = formatPlural(count, "file");
    if (sent >= total) {
      bar.removeAttribute("value");
      this.#say(`${files}, ${formatBytes(total)} sent; the portal reads them…`);
      return;
    }
    bar.value = sent / total;
    const rate = sent / Math.max((performance.now() - this.began) / 1000, 0.1);
    this.#say(
      `${files}, ${formatBytes(sent)} of ${formatBytes(total)} at ${formatBytes(rate)}/s`,
    );
  }

  #keep(kept, folder) {
    this.snapshot.value = kept.snapshot;
    const count = formatPlural(kept.files.length, "file");
    this.find("name").textContent = kept.name;
    this.find("facts").textContent = `${count}, ${formatBytes(kept.bytes)}`;
    this.#list(this.find("files"), kept.files, kept.files.length);
    const leftOut = [...folder.leftOut, ...kept.left_out];
    const extra = kept.left_out_count - kept.left_out.length;
    this.#list(this.find("left-out"), leftOut, leftOut.length + extra);
    this.find("left-out-box").hidden = leftOut.length === 0;
    this.find("left-out-count").textContent = leftOut.length + extra;
    this.find("flattened").hidden = !kept.flattened;
    this.#fail("");
    this.#become("kept");
    this.#say(`${kept.name} is here: ${count}, ${formatBytes(kept.bytes)}.`);
    this.#tell(kept);
  }

  #list(list, names, count) {
    const items = names.slice(0, MOST_LISTED).map((name) => item(name));
    const left = count - items.length;
    list.replaceChildren(...items, ...(left > 0 ? [item(`… and ${left} more`)] : []));
  }

  #tell({ files, scripts }) {
    const detail = { files, scripts };
    this.dispatchEvent(new CustomEvent("source-changed", { bubbles: true, detail }));
  }

  #become(state) {
    this.state = state;
    this.find("back").hidden = !this.snapshot.value;
    for (const each of ["empty", "busy", "kept"]) this.find(each).hidden = each !== state;
    this.dispatchEvent(new Event("change", { bubbles: true }));
  }

  #say(text) {
    this.find("said").textContent = text;
  }

  #fail(text) {
    this.find("trouble").textContent = text;
    this.find("trouble").hidden = !text;
  }
}

function item(text) {
  const element = document.createElement("li");
  element.textContent = text;
  return element;
}

customElements.define("source-drop", SourceDrop);
