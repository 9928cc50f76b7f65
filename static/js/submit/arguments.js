/**
 * A command line as a list of arguments and back, by the quoting rules of POSIX
 * shells and without anything else that a shell does: nothing is expanded.
 *
 * Both functions agree with Python's `shlex.split` and `shlex.join` on every input.
 */

const SPACE = new Set([" ", "\t", "\r", "\n"]);
const UNSAFE = /[^A-Za-z0-9_@%+=:,./-]/;

/**
 * @typedef {{arguments: string[], error: null | "quote" | "escape"}} Split
 * `error`: the line ends within a quote, or after a backslash; then `arguments`
 * holds those that were complete before.
 */

/**
 * @param {string} line
 * @returns {Split}
 */
export function split(line) {
  const found = [];
  let at = 0;
  while (at < line.length) {
    if (SPACE.has(line[at])) {
      at += 1;
      continue;
    }
    const word = readWord(line, at);
    if (word.error) return { arguments: found, error: word.error };
    found.push(word.text);
    at = word.end;
  }
  return { arguments: found, error: null };
}

/**
 * @param {string[]} words
 * @returns {string}
 */
export function join(words) {
  return words.map(quote).join(" ");
}

/**
 * @param {string} word
 * @returns {string}
 */
export function quote(word) {
  if (word === "") return "''";
  if (!UNSAFE.test(word)) return word;
  return `'${word.replaceAll("'", `'"'"'`)}'`;
}

function readWord(line, start) {
  let text = "";
  let at = start;
  while (at < line.length && !SPACE.has(line[at])) {
    const piece = readPiece(line, at);
    if (piece.error) return piece;
    text += piece.text;
    at = piece.end;
  }
  return { text, end: at, error: null };
}

function readPiece(line, at) {
  switch (line[at]) {
    case "'":
      return readSingleQuoted(line, at);
    case '"':
      return readDoubleQuoted(line, at);
    case "\\":
      if (at + 1 >= line.length) return { error: "escape" };
      return { text: line[at + 1], end: at + 2, error: null };
    default:
      return { text: line[at], end: at + 1, error: null };
  }
}

function readSingleQuoted(line, start) {
  const end = line.indexOf("'", start + 1);
  if (end < 0) return { error: "quote" };
  return { text: line.slice(start + 1, end), end: end + 1, error: null };
}

function readDoubleQuoted(line, start) {
  let text = "";
  for (let at = start + 1; at < line.length; at += 1) {
    if (line[at] === '"') return { text, end: at + 1, error: null };
    if (line[at] === "\\") {
      at += 1;
      if (at >= line.length) return { error: "escape" };
      // Only a quote and a backslash can be escaped here; others keep theirs.
      if (line[at] !== '"' && line[at] !== "\\") text += "\\";
    }
    text += line[at];
  }
  return { error: "quote" };
}
