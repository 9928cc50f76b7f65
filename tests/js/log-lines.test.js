import assert from "node:assert/strict";
import { test } from "node:test";

import { cssColour, PLAIN, resetsStyle, styleAfter, withSgr } from "../../static/js/log/ansi.js";
import { fold, PIECE, shownSpans, unfold } from "../../static/js/log/lines.js";
import { chance } from "./chance.js";

const textOf = ({ spans }) => spans.map((span) => span.text).join("");

test("folding shows what a terminal would", () => {
  const cases = {
    "plain text": "plain text",
    "": "",
    "abc\rX": "Xbc",
    "abc\r": "abc",
    "windows\r\r": "windows",
    "50%\r100%": "100%",
    "long line\rshort": "shortline",
    "long line\r\x1b[Kshort": "short",
    "long line\x1b[2K\rshort": "short",
    "abcdef\x1b[3D\x1b[K": "abc",
    "abcdef\x1b[3G\x1b[1KX": "  Xdef",
    "ab\x1b[2CX": "ab  X",
    "ab\b\bX": "Xb",
    "\b\babc": "abc",
    "ding\x07dong": "dingdong",
    "nul\0byte": "nul\\0byte",
    "tab\tstays": "tab\tstays",
    "🚀🚀🚀\rXY": "XY🚀",
    "日本語\rX": "X本語",
    "\x1b]0;title\x07text": "text",
    "\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\": "link",
    "\x1b(Btext": "text",
    "not whole \x1b[31": "not whole ",
    "odd \x1b[\x01 escapes \x1b": "odd \\e[\\x01 escapes \\e",
    "\x1b[999999999Cfar": `${" ".repeat(100_000)}far`,
    "\u202eabc": "\u202eabc",
  };
  for (const [line, shown] of Object.entries(cases)) {
    assert.equal(textOf(fold(line)), shown, JSON.stringify(line));
  }
});

test("colours stay with the characters they were written with", () => {
  const { spans, style } = fold("\x1b[31mred\x1b[0m plain\r\x1b[32mG");
  assert.deepEqual(spans, [
    { text: "G", style: { fg: 2 } },
    { text: "ed", style: { fg: 1 } },
    { text: " plain", style: {} },
  ]);
  assert.deepEqual(style, { fg: 2 });
});

test("folding agrees with a screen of single cells on random input", () => {
  const pieces = ["a", "bc", "def ", "\r", "\b", "\x1b[K", "\x1b[1K", "\x1b[2K", "\x1b[3G"];
  pieces.push("\x1b[2C", "\x1b[D", "\x1b[31m", "\x1b[0m", "😀", "€", "\0", "\x07");
  const random = chance(1);
  for (let round = 0; round < 3000; round += 1) {
    const line = Array.from({ length: random(14) }, () => pieces[random(pieces.length)]);
    assert.equal(textOf(fold(line.join(""))), screenOf(line), JSON.stringify(line));
  }
});

function screenOf(pieces) {
  let cells = [];
  let column = 0;
  const put = (text) => {
    for (const character of text) cells[column++] = character;
  };
  const moves = {
    "\r": () => (column = 0),
    "\b": () => (column = Math.max(0, column - 1)),
    "\x1b[K": () => (cells = cells.slice(0, column)),
    "\x1b[1K": () => {
      const until = column;
      for (column = 0; column < until; ) put(" ");
    },
    "\x1b[2K": () => (cells = []),
    "\x1b[3G": () => (column = 2),
    "\x1b[2C": () => (column += 2),
    "\x1b[D": () => (column = Math.max(0, column - 1)),
    "\0": () => put("\\0"),
  };
  for (const piece of pieces) {
    if (piece in moves) moves[piece]();
    else if (piece !== "\x07" && !piece.startsWith("\x1b")) put(piece);
  }
  return Array.from(cells, (cell) => cell ?? " ").join("");
}

test("a bar of 100,000 refreshes folds to its last one", () => {
  const refresh = (n) => `\x1b[32m${n}\x1b[0m of 100000 ${"#".repeat(n / 2000).padEnd(50)}|`;
  const line = Array.from({ length: 100_001 }, (_, n) => refresh(n)).join("\r");
  assert.equal(textOf(fold(line)), textOf(fold(refresh(100_000))));
});

test("raw shows every refresh and a sign for what has no shape", () => {
  assert.equal(textOf(unfold("1%\r2%\r3%\r")), "1%\\r2%\\r3%");
  assert.equal(textOf(unfold("a\0b\x1b[Kc\x1b[31md\x7f")), "a\\0b\\e[Kcd\\x7f");
  const breaks = unfold("1%\r2%\b").spans.map((span) => Boolean(span.breaks));
  assert.deepEqual(breaks, [false, true, false, false]);
});

test("a cut line says how much is missing", () => {
  const line = { t: "begin", e: "end", n: 2 * PIECE + 1000 };
  const { spans } = shownSpans(line, { raw: false });
  assert.deepEqual(spans.map((span) => span.cut ?? span.text), ["begin", 1000, "end"]);
});

test("of a cut progress bar the last refresh is shown, and nothing is missing", () => {
  const line = { t: "0%\r1%", e: "8% torn\r99%\r100%", n: 10_000_000 };
  const { spans } = shownSpans(line, { raw: false });
  assert.deepEqual(spans, [{ text: "100%", style: PLAIN }]);
  const raw = shownSpans(line, { raw: true }).spans;
  assert.ok(raw.some((span) => span.cut));
});

test("graphic renditions", () => {
  const cases = {
    "": {},
    "0": {},
    "1;31": { bold: true, fg: 1 },
    "31;0": {},
    "92;103": { fg: 10, bg: 11 },
    "38;5;208": { fg: 208 },
    "48;2;1;2;3": { bg: "rgb(1, 2, 3)" },
    "38:2::10:20:30;1": { fg: "rgb(10, 20, 30)", bold: true },
    "38:2:10:20:30": { fg: "rgb(10, 20, 30)" },
    "38:5:9": { fg: 9 },
    "38;5": {},
    "38;2;300;0;0": {},
    "4:3": { underline: true },
    "3;9;7": { italic: true, strike: true, inverse: true },
    "999": {},
  };
  for (const [parameters, style] of Object.entries(cases)) {
    assert.deepEqual(withSgr(PLAIN, parameters), style, parameters);
  }
  const all = withSgr(PLAIN, "1;2;3;4;7;9;31;42");
  const none = withSgr(all, "22;23;24;27;29;39;49");
  assert.ok(Object.values(none).every((value) => value === undefined));
  assert.deepEqual(PLAIN, {});
});

test("a style is carried to the next line until it is reset", () => {
  const red = styleAfter("\x1b[31mTraceback", PLAIN);
  assert.deepEqual(styleAfter("  File", red), { fg: 1 });
  assert.deepEqual(styleAfter("boom\x1b[m", red), {});
  assert.ok(resetsStyle("\x1b[0m"));
  assert.ok(resetsStyle("\x1b[0;1m"));
  assert.ok(!resetsStyle("\x1b[38;5;0m"));
});

test("palette colours", () => {
  assert.equal(cssColour(16), "rgb(0, 0, 0)");
  assert.equal(cssColour(208), "rgb(255, 135, 0)");
  assert.equal(cssColour(255), "rgb(238, 238, 238)");
  assert.equal(cssColour("rgb(1, 2, 3)"), "rgb(1, 2, 3)");
});
