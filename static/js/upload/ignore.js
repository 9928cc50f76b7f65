/**
 * Ignore rules: what of a source folder stays at home, by the rules of git.
 * `runs/snapshots/ignore.py` says the same and why; the tests hold both against git.
 */

import { toBytes, translate } from "./wildmatch.js";

const AMLIGNORE = ".amlignore";
const GITIGNORE = ".gitignore";
const LARGEST_FILE = 256 * 1024;

/**
 * @typedef {object} Rule a line of an ignore file
 * @property {string} text
 * @property {string} file "" for what always holds
 * @property {number} line
 * @property {boolean} isNegated
 * @property {boolean} foldersOnly
 * @property {boolean} byName
 * @property {string | null} expression of a name, or of a path from the file's folder
 */

/** Says for each path of a source, folders first, whether it is left out. */
export class IgnoreRules {
  #onlyAmlignore = false;
  #lists = new Map();
  #folders = new Map([["", null]]);
  #defaults;

  /** @param {string[]} defaults rules that come before those of the source */
  constructor(defaults) {
    this.#defaults = new RuleList(defaults.map((text) => ruleOf(toBytes(text), text, "", 0)));
  }

  /** Which of `names` in `folder` holds its rules; to be asked about the top first. */
  fileIn(folder, names) {
    if (names.has(AMLIGNORE)) {
      this.#onlyAmlignore ||= folder === "";
      return AMLIGNORE;
    }
    return names.has(GITIGNORE) && !this.#onlyAmlignore ? GITIGNORE : "";
  }

  /**
   * Add the rules of a file. Throws an Error for a person if it is too large.
   *
   * @param {string} folder
   * @param {string} name
   * @param {Uint8Array} content
   */
  add(folder, name, content) {
    const path = folder ? `${folder}/${name}` : name;
    if (content.length > LARGEST_FILE) {
      throw new Error(
        `“${path}” is larger than ${LARGEST_FILE / 1024} KiB. ` +
          "Write fewer rules, for folders instead of files.",
      );
    }
    this.#lists.set(folder, new RuleList(readRules(content, path)));
  }

  /** @returns {Rule | null} what leaves out `path`, or a folder that it is in */
  leftOutBy(path, isFolder) {
    if (isFolder && this.#folders.has(path)) return this.#folders.get(path);
    const folder = path.slice(0, Math.max(path.lastIndexOf("/"), 0));
    let rule = this.leftOutBy(folder, true);
    if (rule === null) {
      rule = this.#lastMatch(path, folder, isFolder);
      if (rule?.isNegated) rule = null;
    }
    if (isFolder) this.#folders.set(path, rule);
    return rule;
  }

  #lastMatch(path, nearest, isFolder) {
    let folder = nearest;
    for (;;) {
      const below = folder ? path.slice(folder.length + 1) : path;
      const rule = this.#lists.get(folder)?.lastMatch(toBytes(below), isFolder);
      if (rule) return rule;
      if (!folder) return this.#defaults.lastMatch(toBytes(path), isFolder);
      folder = folder.slice(0, Math.max(folder.lastIndexOf("/"), 0));
    }
  }
}

/** The rules of one file. Most paths match none, which one expression tells. */
class RuleList {
  #rules;
  #anyName;
  #anyPath;

  constructor(rules) {
    const useful = rules.filter((rule) => rule.expression !== null);
    this.#rules = useful.reverse().map((rule) => [rule, compiled([rule])]);
    this.#anyName = compiled(useful.filter((rule) => rule.byName));
    this.#anyPath = compiled(useful.filter((rule) => !rule.byName));
  }

  lastMatch(path, isFolder) {
    const name = path.slice(path.lastIndexOf("/") + 1);
    if (!this.#anyName.test(name) && !this.#anyPath.test(path)) return null;
    for (const [rule, expression] of this.#rules) {
      if (rule.foldersOnly && !isFolder) continue;
      if (expression.test(rule.byName ? name : path)) return rule;
    }
    return null;
  }
}

function compiled(rules) {
  const either = rules.map((rule) => rule.expression).join("|");
  return new RegExp(`^(?:${rules.length ? either : "(?!)"})$`, "s");
}

/** The rules in the ignore file `path`, in their order. */
function readRules(content, path) {
  const bytes = Array.from(content, (byte) => String.fromCharCode(byte)).join("");
  const decoder = new TextDecoder();
  let place = bytes.startsWith("\xef\xbb\xbf") ? 3 : 0;
  const rules = [];
  for (const [number, line] of bytes.slice(place).split("\n").entries()) {
    const pattern = patternOf(line);
    const text = decoder.decode(content.subarray(place, place + pattern.length));
    place += line.length + 1;
    if (line && !line.startsWith("#")) rules.push(ruleOf(pattern, text, path, number + 1));
  }
  return rules;
}

/** What of a line is the pattern, as C reads it, where a zero is an end. */
function patternOf(line) {
  const text = line.replace(/\r$/, "").split("\0", 1)[0];
  const trimmed = text.replace(/ +$/, "");
  const slashes = trimmed.length - trimmed.replace(/\\+$/, "").length;
  return text.slice(0, trimmed.length + (slashes % 2));
}

function ruleOf(bytes, text, file, line) {
  const isNegated = bytes.startsWith("!");
  const pattern = isNegated ? bytes.slice(1) : bytes;
  const foldersOnly = pattern.endsWith("/");
  const stem = foldersOnly ? pattern.slice(0, -1) : pattern;
  const byName = !stem.includes("/");
  const expression = translate(stem.replace(/^\//, ""));
  return { text, file, line, isNegated, foldersOnly, byName, expression };
}
