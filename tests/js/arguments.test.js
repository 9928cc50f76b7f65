import assert from "node:assert/strict";
import { test } from "node:test";

import { join, quote, split } from "../../static/js/submit/arguments.js";

test("words are divided at white space", () => {
  assert.deepEqual(split(" --lr 0.1\t--epochs\n3 ").arguments, [
    "--lr",
    "0.1",
    "--epochs",
    "3",
  ]);
});

test("quotes keep white space, and nothing is expanded", () => {
  const line = `'a b' "c d" e\\ f "$HOME" '$(rm -rf /)' ; *`;
  assert.deepEqual(split(line).arguments, [
    "a b",
    "c d",
    "e f",
    "$HOME",
    "$(rm -rf /)",
    ";",
    "*",
  ]);
});

test("empty arguments survive", () => {
  assert.deepEqual(split(`'' a "" ''b''`).arguments, ["", "a", "", "b"]);
  assert.equal(join(["", "a"]), "'' a");
});

test("a line that is not finished says how", () => {
  assert.deepEqual(split("a 'b c"), { arguments: ["a"], error: "quote" });
  assert.deepEqual(split('a "b'), { arguments: ["a"], error: "quote" });
  assert.deepEqual(split("a b\\"), { arguments: ["a"], error: "escape" });
  assert.deepEqual(split('a "b\\'), { arguments: ["a"], error: "escape" });
});

test("a joined list splits into itself", () => {
  const words = ["it's", 'say "hi"', "two\nlines", "C:\\dir", "日本", "", " ", "-"];
  assert.deepEqual(split(join(words)).arguments, words);
});

test("only what needs quotes gets them", () => {
  assert.equal(quote("--lr=1e-3"), "--lr=1e-3");
  assert.equal(quote("a'b"), `'a'"'"'b'`);
});
