import assert from "node:assert/strict";
import test from "node:test";

import { nameOf, withLine } from "../../static/js/package-lines.js";

test("a package becomes the last line", () => {
  assert.equal(withLine("", "numpy"), "numpy");
  assert.equal(withLine("numpy\n\n", " pandas>=2 "), "numpy\npandas>=2");
});

test("a package that is there is not added twice, however it is written", () => {
  assert.equal(withLine("Scikit_Learn>=1", "scikit-learn"), "Scikit_Learn>=1");
  assert.equal(withLine("numpy-financial", "numpy"), "numpy-financial\nnumpy");
});

test("names are those of the index", () => {
  assert.equal(nameOf("  Foo.Bar[extra] ; python_version > '3'"), "foo-bar");
  assert.equal(nameOf("--index-url https://h"), "");
});
