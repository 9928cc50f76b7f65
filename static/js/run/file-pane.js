/**
 * Brings the elements that show a file as soon as a page has one of them: they are
 * seldom wanted at first, and need large libraries.
 */

const ELEMENTS = {
  "markdown-view": () => import("./markdown-view.js"),
};

function bring() {
  for (const [name, fetchModule] of Object.entries(ELEMENTS)) {
    if (document.querySelector(name)) fetchModule();
  }
}

document.addEventListener("htmx:afterSettle", bring);
bring();
