import assert from "node:assert/strict";
import { test } from "node:test";

import { Head } from "../../static/js/log/head.js";

function folded(lines) {
  return Object.assign(new Head({ title: "Environment built in 4 s", lines }), {
    isFolded: true,
  });
}

test("folded, the lines of the environment take one row", () => {
  const head = folded(312);
  assert.equal(head.rows(400), 89);
  assert.deepEqual([0, 1, 88].map((row) => head.lineOf(row)), [-1, 312, 399]);
  assert.deepEqual([0, 311, 312, 399].map((line) => head.rowOf(line)), [0, 0, 1, 88]);
  assert.ok(head.hides(311) && !head.hides(312));
});

test("unfolded, every line has its row below that of the head", () => {
  const head = new Head({ title: "Environment built in 4 s", lines: 312 });
  assert.equal(head.rows(400), 401);
  assert.deepEqual([0, 1, 400].map((row) => head.lineOf(row)), [-1, 0, 399]);
  assert.deepEqual([0, 399].map((line) => head.rowOf(line)), [1, 400]);
  assert.ok(!head.hides(0));
});

test("a head that hides nothing stands above all lines", () => {
  const head = folded(0);
  assert.equal(head.rows(3), 4);
  assert.equal(head.lineOf(1), 0);
  assert.equal(head.rowOf(0), 1);
});

test("a log that begins anew keeps its head", () => {
  assert.equal(folded(312).rows(0), 1);
});
