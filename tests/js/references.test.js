import assert from "node:assert/strict";
import test from "node:test";

import { pathOf } from "../../static/js/run/references.js";

test("a reference is taken from the folder of its file", () => {
  assert.equal(pathOf("plot.png", "outputs/report.md"), "outputs/plot.png");
  assert.equal(pathOf("./a/b.png", "outputs/x/report.md"), "outputs/x/a/b.png");
  assert.equal(pathOf("../c.png", "outputs/x/report.md"), "outputs/c.png");
  assert.equal(pathOf("/top.png", "outputs/x/report.md"), "top.png");
  assert.equal(pathOf("two%20words.png", "README.md"), "two words.png");
  assert.equal(pathOf("two words.png#part", "a #?%.md"), "two words.png");
});

test("what leads elsewhere names no file", () => {
  for (const reference of [
    "",
    "#part",
    "https://example.org/a.png",
    "//example.org/a.png",
    "mailto:a@example.org",
    "data:image/png;base64,AA==",
    "javascript:alert(1)",
    "%ff.png",
  ]) {
    assert.equal(pathOf(reference, "outputs/report.md"), null, reference);
  }
});

test("no reference leads above all files", () => {
  assert.equal(pathOf("../../../../etc/passwd", "outputs/report.md"), "etc/passwd");
});
