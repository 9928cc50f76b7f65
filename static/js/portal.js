/**
 * What every page does: the theme switch, popovers, confirmations, what went wrong, and
 * times that stay true while one looks at them. Works on whatever htmx swaps in as well.
 *
 * @example
 * <time datetime="2026-11-23T10:00:00+00:00">2026-11-23 10:00</time>
 * <span data-since="2026-11-23T10:00:00+00:00"></span>
 * <button data-confirm="Delete this run?">Delete</button>
 */

import { formatDuration, formatMoment } from "./times.js";

function switchTheme() {
  const root = document.documentElement;
  root.dataset.bsTheme = root.dataset.bsTheme === "dark" ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.bsTheme);
}

function showTimes() {
  const now = new Date();
  for (const element of document.querySelectorAll("time[datetime]")) {
    const time = new Date(element.dateTime);
    const shown = formatMoment(time, now);
    if (element.textContent !== shown) {
      element.textContent = shown;
      element.title = time.toLocaleString();
    }
  }
  for (const element of document.querySelectorAll("[data-since]")) {
    element.textContent = formatDuration((now - new Date(element.dataset.since)) / 1000);
  }
}

function closePopovers(event) {
  for (const popover of document.querySelectorAll("[data-popover][open]")) {
    const inside = event.type === "click" && popover.contains(event.target);
    if (!inside) {
      popover.open = false;
      if (event.type === "keydown") popover.querySelector("summary").focus();
    }
  }
}

/** Ask before what can't be undone; `data-confirm` is the whole question. */
function confirmFirst(event) {
  const asking = event.submitter?.dataset.confirm ?? event.target.dataset.confirm;
  if (asking && !window.confirm(asking)) {
    event.preventDefault();
    event.stopImmediatePropagation();
  }
}

/** While a form is sent, its button says what `data-busy` says; a second press is none. */
function tellBusy(event) {
  const button = event.submitter;
  if (event.defaultPrevented || !button?.dataset.busy) return;
  if (button.ariaBusy === "true") event.preventDefault();
  button.ariaBusy = "true";
  button.textContent = button.dataset.busy;
}

/** An answer of plain text is the portal's own sentence on why htmx got no part. */
function tellFailure({ detail: { xhr } }) {
  if (!xhr.getResponseHeader("Content-Type")?.startsWith("text/plain")) return;
  const message = document.createElement("div");
  message.className = "message message-error";
  message.textContent = xhr.responseText;
  document.getElementById("messages").replaceChildren(message);
  message.scrollIntoView({ block: "nearest" });
}

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-theme-switch]")) switchTheme();
  closePopovers(event);
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") closePopovers(event);
});
document.addEventListener("submit", confirmFirst, { capture: true });
document.addEventListener("submit", tellBusy);
// Whoever comes back finds the page as it was left.
addEventListener("pageshow", (event) => {
  if (event.persisted && document.querySelector("[aria-busy=true]")) location.reload();
});
document.addEventListener("htmx:responseError", tellFailure);
document.addEventListener("htmx:afterSettle", showTimes);
setInterval(showTimes, 1000);
showTimes();
