/**
 * Brings the elements that show a file as soon as a page has one of them: they are
 * seldom wanted at first, and need large libraries.
 */

import "./code-view.js";

const ELEMENTS = {
  "ansi-text": () => import("./ansi-text.js"),
  "html-view": () => import("./html-view.js"),
  "markdown-view": () => import("./markdown-view.js"),
};

function bring() {
  for (const [name, fetchModule] of Object.entries(ELEMENTS)) {
    if (document.querySelector(name)) fetchModule();
  }
}

document.addEventListener("htmx:afterSettle", bring);
bring();
