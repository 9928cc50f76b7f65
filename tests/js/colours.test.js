import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const css = ["tokens", "ansi", "log-view"]
  .map((name) => new URL(`../../static/css/${name}.css`, import.meta.url))
  .map((file) => readFileSync(file, "utf8"))
  .join("");
// What WCAG 2 asks of text at level AA.
const ENOUGH = 4.5;
const THEMES = { light: ".log-view", dark: '[data-bs-theme="dark"] .log-view' };
const PAPERS = ["paper", "hover", "selected", "current"];
const INKS = ["ink", "ink-quiet", "good", "warning", "accent"];
// Where code stands: files, cards, linked lines, and the lines of a comparison.
const GROUNDS = ["code-bg", "surface", "code-mark", "ok-soft", "bad-soft"];
const PAGES = { light: ":root", dark: '[data-bs-theme="dark"]' };
const ALL = Array.from({ length: 16 }, (_, index) => index);

/** The custom properties that all rules for exactly `selector` set, in order. */
function propertiesOf(selector) {
  const found = {};
  for (const [, selectors, body] of css.matchAll(/([^{}]+)\{([^{}]*)\}/g)) {
    const names = selectors.replace(/\/\*.*?\*\//gs, "").split(",");
    if (!names.some((name) => name.trim() === selector)) continue;
    for (const [, name, value] of body.matchAll(/--([\w-]+):\s*([^;]+);/g)) {
      found[name] = value.match(/#[0-9a-f]{6}/)?.[0];
    }
  }
  return found;
}

function luminance(colour) {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const part = parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function assertReadable(ink, paper, what) {
  const [low, high] = [luminance(ink), luminance(paper)].sort((a, b) => a - b);
  const contrast = (high + 0.05) / (low + 0.05);
  assert.ok(contrast >= ENOUGH, `${what}: ${contrast.toFixed(2)} (${ink} on ${paper})`);
}

for (const [theme, selector] of Object.entries(THEMES)) {
  test(`every ANSI colour can be read on every ${theme} row`, () => {
    const colours = propertiesOf(selector);
    for (const paper of PAPERS) {
      for (const index of ALL) {
        const what = `colour ${index} on ${paper}`;
        assertReadable(colours[`log-ansi-${index}`], colours[`log-${paper}`], what);
      }
    }
  });

  test(`what the viewer itself says can be read on ${theme} paper`, () => {
    const colours = propertiesOf(selector);
    for (const ink of INKS) {
      assertReadable(colours[`log-${ink}`], colours["log-paper"], ink);
      assertReadable(colours[`log-${ink}`], colours["log-bar"], ink);
    }
    assertReadable(colours["log-match-ink"], colours["log-match"], "a match");
  });
}

test("text without a colour can be read on every ANSI background", () => {
  for (const index of ALL) {
    const { "log-on-bg": ink, "sgr-bg": paper } = propertiesOf(`.log-bg-${index}`);
    assertReadable(ink, paper, `background ${index}`);
  }
});

for (const [theme, selector] of Object.entries(PAGES)) {
  test(`every ANSI colour can be read on a ${theme} card`, () => {
    const { surface } = propertiesOf(selector);
    const colours = propertiesOf(THEMES[theme]);
    for (const index of ALL) {
      assertReadable(colours[`log-ansi-${index}`], surface, `colour ${index}`);
    }
  });

  test(`code in colours can be read on every ${theme} ground`, () => {
    const colours = propertiesOf(selector);
    const inks = Object.keys(colours).filter(
      (name) => name.startsWith("code-") && !GROUNDS.includes(name),
    );
    assert.ok(inks.length > 10);
    for (const ground of GROUNDS) {
      for (const ink of ["text", ...inks]) {
        assertReadable(colours[ink], colours[ground], `${ink} on ${ground}`);
      }
    }
  });
}
