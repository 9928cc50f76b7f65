/**
 * Git's patterns for paths, as regular expressions. `runs/snapshots/wildmatch.py` says
 * the same and why; the tests hold both against git itself.
 *
 * Git compares bytes. So patterns and paths are strings with a character for each byte
 * of their UTF-8, which `toBytes` makes.
 */

const SLASH = 47;
const ANY = "*";
const ANY_FOLDERS = "**/";
const SOME_FOLDERS = "**\\/";
const REST = "**";

const CLASSES = {
  alnum: /[0-9A-Za-z]/,
  alpha: /[A-Za-z]/,
  blank: /[ \t]/,
  cntrl: /[\x00-\x1f\x7f]/,
  digit: /[0-9]/,
  graph: /[!-~]/,
  lower: /[a-z]/,
  print: /[ -~]/,
  punct: /[!-/:-@[-`{-~]/,
  space: /[ \t\n\v\f\r]/,
  upper: /[A-Z]/,
  xdigit: /[0-9A-Fa-f]/,
};

/** The pattern is malformed; git lets such a one match nothing. */
class NeverMatches extends Error {}

const encoder = new TextEncoder();

/** A string with a character for each byte of `text` in UTF-8. */
export function toBytes(text) {
  // Most names need no change.
  if (/^[\x00-\x7f]*$/.test(text)) return text;
  return Array.from(encoder.encode(text), (byte) => String.fromCharCode(byte)).join("");
}

/**
 * The source of a regular expression for whole paths; null if none matches.
 *
 * @param {string} pattern of bytes
 * @returns {string | null}
 */
export function translate(pattern) {
  const special = pattern.search(/[*?[\\]/);
  const start = special < 0 ? pattern.length : special;
  try {
    const tokens = tokensOf(pattern.slice(start));
    return escape(pattern.slice(0, start)) + expression(tokens);
  } catch (error) {
    if (error instanceof NeverMatches) return null;
    throw error;
  }
}

/** A token is a list of bytes of which one must come, or one of the constants above. */
function tokensOf(pattern) {
  const tokens = [];
  let place = 0;
  while (place < pattern.length) {
    let token;
    if (pattern[place] === "*") [token, place] = stars(pattern, place);
    else if (pattern[place] === "?") [token, place] = [anyBut([SLASH]), place + 1];
    else if (pattern[place] === "[") [token, place] = set(pattern, place + 1);
    else if (pattern[place] === "\\") [token, place] = [[at(pattern, place + 1)], place + 2];
    else [token, place] = [[at(pattern, place)], place + 1];
    tokens.push(token);
  }
  return tokens;
}

function stars(pattern, place) {
  let end = place;
  while (pattern[end] === "*") end += 1;
  const begins = place === 0 || pattern[place - 1] === "/";
  if (end - place === 1 || !begins) return [ANY, end];
  if (end === pattern.length) return [REST, end];
  if (pattern[end] === "/") return [ANY_FOLDERS, end + 1];
  if (pattern.startsWith("\\/", end)) return [SOME_FOLDERS, end + 2];
  return [ANY, end];
}

/** The bytes that a set in brackets allows, and where the pattern goes on. */
function set(pattern, start) {
  const isNegated = pattern[start] === "!" || pattern[start] === "^";
  const first = start + isNegated;
  const members = new Set();
  let place = first;
  let last = -1;
  while (place === first || at(pattern, place) !== 93) {
    const byte = at(pattern, place);
    if (byte === 45 && last > 0 && isRange(pattern, place)) {
      const [end, next] = escaped(pattern, place + 1);
      for (let each = last; each <= end; each += 1) members.add(each);
      [last, place] = [-1, next];
      continue;
    }
    const end = byte === 91 && pattern[place + 1] === ":" ? className(pattern, place) : 0;
    if (end) {
      const allowed = CLASSES[pattern.slice(place + 2, end - 1)];
      if (!allowed) throw new NeverMatches();
      bytes().filter((each) => allowed.test(String.fromCharCode(each))).forEach(
        (each) => members.add(each),
      );
      [last, place] = [-1, end + 1];
    } else {
      [last, place] = escaped(pattern, place);
      members.add(last);
    }
  }
  const chosen = isNegated ? anyBut([SLASH, ...members]) : [...members];
  return [chosen.filter((each) => each !== SLASH), place + 1];
}

function isRange(pattern, place) {
  const next = pattern[place + 1];
  return next !== undefined && next !== "]";
}

/** Where the bracket of "[:name:]" closes; 0 where it is no name of a class. */
function className(pattern, place) {
  const end = pattern.indexOf("]", place + 2);
  if (end < 0) throw new NeverMatches();
  return end > place + 2 && pattern[end - 1] === ":" ? end : 0;
}

function escaped(pattern, place) {
  const real = place + (at(pattern, place) === 92);
  return [at(pattern, real), real + 1];
}

function at(pattern, place) {
  if (place >= pattern.length) throw new NeverMatches();
  return pattern.charCodeAt(place);
}

function bytes() {
  return Array.from({ length: 256 }, (_, byte) => byte);
}

function anyBut(excluded) {
  return bytes().filter((byte) => !excluded.includes(byte));
}

let marks = 0;

/** Once it has matched, it is not tried in another way. */
function atomic(source) {
  marks += 1;
  return `(?=(?<m${marks}>${source}))\\k<m${marks}>`;
}

function expression(tokens) {
  const groups = [["", []]];
  for (const token of tokens) {
    if (token === ANY_FOLDERS) groups.push(["(?:[^/]*/)*?", []]);
    else if (token === SOME_FOLDERS) groups.push(["(?:[^/]*/)+?", []]);
    else groups.at(-1)[1].push(token);
  }
  const [lead, last] = groups.pop();
  const found = groups.map(([before, part]) => atomic(before + parts(part)));
  return found.join("") + lead + parts(last);
}

/** Tokens that cross no folder, but for the rest of a path at the end. */
function parts(tokens) {
  const endsInRest = tokens.at(-1) === REST;
  const all = endsInRest ? tokens.slice(0, -1) : tokens;
  const split = [[]];
  for (const token of all) {
    if (token.length === 1 && token[0] === SLASH) split.push([]);
    else split.at(-1).push(token);
  }
  return split.map(part).join("/") + (endsInRest ? ".*" : "");
}

/** The name of one file or folder. */
function part(tokens) {
  const pieces = [""];
  for (const token of tokens) {
    if (token === ANY) pieces.push("");
    else pieces[pieces.length - 1] += oneOf(token);
  }
  const first = pieces.shift();
  if (pieces.length === 0) return first;
  const last = pieces.pop();
  const found = pieces.filter(Boolean).map((piece) => atomic(`[^/]*?${piece}`));
  return `${first}${found.join("")}[^/]*${last}`;
}

function oneOf(members) {
  if (members.length === 0) return "(?!)";
  return `[${members.map(escapedByte).join("")}]`;
}

function escape(text) {
  return Array.from(text, (each) => escapedByte(each.charCodeAt(0))).join("");
}

function escapedByte(byte) {
  return `\\x${byte.toString(16).padStart(2, "0")}`;
}
