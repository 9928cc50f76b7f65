/** The keys of the log view. */

const KEYS = {
  ArrowDown: "down",
  ArrowUp: "up",
  ArrowLeft: "left",
  ArrowRight: "right",
  PageDown: "pageDown",
  PageUp: "pageUp",
  Home: "toStart",
  End: "toEnd",
  "/": "search",
  e: "toggleHead",
  f: "toggleFollowing",
  w: "toggleWrap",
  r: "toggleRaw",
  z: "toggleFilling",
};

/**
 * The name of what a key asks for, if it is not typed into a field.
 *
 * @param {KeyboardEvent} event
 * @returns {string | undefined}
 */
export function actionOf(event) {
  const { key, shiftKey, altKey, ctrlKey, metaKey, target } = event;
  if (altKey || ctrlKey || metaKey || target.closest("input, select")) {
    return undefined;
  }
  // It presses a button, and so does Enter, which is none of these keys.
  if (key === " " && target.closest("button, a")) return undefined;
  if (key === " ") return shiftKey ? "pageUp" : "pageDown";
  return Object.hasOwn(KEYS, key) ? KEYS[key] : undefined;
}
