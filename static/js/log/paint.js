/** Gives text the look that its escape sequences ask for: static/css/ansi.css. */

import { cssColour, PLAIN } from "./ansi.js";

const FLAGS = ["bold", "faint", "italic", "underline", "strike", "inverse", "sign"];

/**
 * @param {Span} span
 * @returns {Node | string}  The text alone where it has no style.
 */
export function styled(span) {
  if (span.style === PLAIN && !span.match) return span.text;
  const element = document.createElement(span.match ? "mark" : "span");
  element.textContent = span.text;
  if (span.breaks) element.classList.add("log-sign--break");
  paintStyle(element, span.style);
  return element;
}

function paintStyle(element, style) {
  for (const flag of FLAGS) {
    if (style[flag]) element.classList.add(`log-${flag}`);
  }
  paintColour(element, "fg", style.fg);
  paintColour(element, "bg", style.bg);
}

function paintColour(element, kind, colour) {
  if (colour === undefined) return;
  element.classList.add(`log-${kind}`);
  element.classList.add(`log-${kind}-${colour < 16 ? colour : "rgb"}`);
  if (!(colour < 16)) element.style.setProperty(`--sgr-${kind}`, cssColour(colour));
}
