const USUAL = ["train.py", "main.py", "run.py"];

/**
 * The script that is most likely meant: one with a usual name, as near the top as
 * possible, or the only one; "" if nothing is sure.
 *
 * @param {string[]} scripts
 * @returns {string}
 */
export function guess(scripts) {
  if (scripts.length === 1) return scripts[0];
  const usual = scripts.filter((path) => USUAL.includes(nameOf(path)));
  usual.sort((a, b) => depthOf(a) - depthOf(b) || placeOf(a) - placeOf(b));
  return usual[0] ?? "";
}

function nameOf(path) {
  return path.split("/").at(-1);
}

function depthOf(path) {
  return path.split("/").length;
}

function placeOf(path) {
  return USUAL.indexOf(nameOf(path));
}
