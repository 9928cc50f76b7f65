/**
 * ANSI escape sequences: finds them in a line and keeps the style they set.
 *
 * Escapes are taken apart here and not by a library, because folding a progress bar
 * needs to know which characters take a column, and because a Content-Security-Policy
 * without inline styles leaves no room for colours written into HTML.
 */

/**
 * @typedef {object} Style  Never changed once made; what is absent is not set.
 * @property {number|string} [fg]  A palette index up to 255 or `rgb(…)`.
 * @property {number|string} [bg]
 * @property {boolean} [bold]
 * @property {boolean} [faint]
 * @property {boolean} [italic]
 * @property {boolean} [underline]
 * @property {boolean} [strike]
 * @property {boolean} [inverse]
 * @property {boolean} [sign]
 */

/** @type {Style} */
export const PLAIN = Object.freeze({});

// CSI sequences (the last one may not be whole yet), OSC strings (titles, links), other
// escapes, lone control characters.
const CONTROL =
  // eslint-disable-next-line no-control-regex
  /\x1b(?:\[([0-?]*)[ -/]*(?:([@-~])|$)|\][^\x07\x1b]{0,2048}(?:\x07|\x1b\\)|[ -/]*[0-Z\\^-~])|[\0-\x08\n-\x1f\x7f]/g;

/**
 * Read `text` piece by piece.
 *
 * @param {string} text
 * @param {Style} style  The style at its beginning.
 * @param {{text(piece: string, style: Style): void,
 *          control(character: string): void,
 *          sequence(final: string, parameters: string, whole: string): void}} sink
 * @returns {Style} The style at its end.
 */
export function scan(text, style, sink) {
  let from = 0;
  CONTROL.lastIndex = 0;
  for (let match = CONTROL.exec(text); match; match = CONTROL.exec(text)) {
    if (match.index > from) sink.text(text.slice(from, match.index), style);
    from = CONTROL.lastIndex;
    const [whole, parameters, final] = match;
    if (final === "m" && /^[\d;:]*$/.test(parameters)) {
      style = withSgr(style, parameters);
    } else if (final) {
      sink.sequence(final, parameters, whole);
    } else if (whole.length === 1) {
      sink.control(whole);
    }
    // A sink may scan as well, so the shared expression is put back in its place.
    CONTROL.lastIndex = from;
  }
  if (from < text.length) sink.text(from ? text.slice(from) : text, style);
  return style;
}

const IGNORE = { text() {}, control() {}, sequence() {} };

/** The style behind `text` if it begins with `style`. */
export function styleAfter(text, style) {
  return text.includes("\x1b") ? scan(text, style, IGNORE) : style;
}

/** Whether the style behind `text` does not depend on the one before it. */
export function resetsStyle(text) {
  // eslint-disable-next-line no-control-regex
  return /\x1b\[(?:0?|0;[\d;:]*)m/.test(text);
}

const SET = {
  1: { bold: true },
  2: { faint: true },
  3: { italic: true },
  4: { underline: true },
  7: { inverse: true },
  9: { strike: true },
  21: { underline: true },
  22: { bold: undefined, faint: undefined },
  23: { italic: undefined },
  24: { underline: undefined },
  27: { inverse: undefined },
  29: { strike: undefined },
  39: { fg: undefined },
  49: { bg: undefined },
};

/**
 * `style` changed by the parameters of "select graphic rendition", as "1;31".
 *
 * @param {Style} style
 * @param {string} parameters
 * @returns {Style}
 */
export function withSgr(style, parameters) {
  const codes = parameters.split(";");
  let changed = { ...style };
  while (codes.length) {
    const [code, ...details] = codes.shift().split(":");
    const number = Number(code || 0);
    if (number === 0) changed = {};
    else if (number === 38) setColour(changed, "fg", details, codes);
    else if (number === 48) setColour(changed, "bg", details, codes);
    else if (number === 4 && details[0] === "0") delete changed.underline;
    else Object.assign(changed, SET[number] ?? basicColour(number));
  }
  return changed;
}

function basicColour(number) {
  if (number >= 30 && number <= 37) return { fg: number - 30 };
  if (number >= 40 && number <= 47) return { bg: number - 40 };
  if (number >= 90 && number <= 97) return { fg: number - 82 };
  if (number >= 100 && number <= 107) return { bg: number - 92 };
  return {};
}

/** "38;5;n" and "38;2;r;g;b", or the same with colons and perhaps a colour space. */
function setColour(style, key, details, codes) {
  const given = details.length ? details : codes;
  const kind = given.shift();
  if (kind === "5") {
    const index = Number(given.shift());
    if (index >= 0 && index <= 255) style[key] = index;
  } else if (kind === "2") {
    if (given === details && details.length > 3) details.shift();
    const parts = given.splice(0, 3).map(Number);
    if (parts.length === 3 && parts.every((part) => part >= 0 && part <= 255)) {
      style[key] = `rgb(${parts.join(", ")})`;
    }
  }
}

const LEVELS = [0, 95, 135, 175, 215, 255];

/** The CSS colour of a palette index from 16 on, or of `rgb(…)` itself. */
export function cssColour(colour) {
  if (typeof colour === "string") return colour;
  if (colour >= 232) {
    const grey = 8 + (colour - 232) * 10;
    return `rgb(${grey}, ${grey}, ${grey})`;
  }
  const cube = colour - 16;
  const parts = [Math.floor(cube / 36), Math.floor(cube / 6) % 6, cube % 6];
  return `rgb(${parts.map((part) => LEVELS[part]).join(", ")})`;
}
