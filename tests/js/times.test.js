import assert from "node:assert/strict";
import { test } from "node:test";

import { formatMoment } from "../../static/js/times.js";

const NOW = new Date(2026, 5, 10, 12, 0, 0);
const after = (minutes) => new Date(NOW.getTime() + minutes * 60_000);

test("what comes soon is told by the clock alone", () => {
  assert.match(formatMoment(after(125), NOW), /^0?2:05\sPM$|^14:05$/);
});

test("what comes on another day is told with the day", () => {
  assert.match(formatMoment(after(26 * 60), NOW), /11/);
});

test("what was a moment ago is told so", () => {
  assert.equal(formatMoment(after(0), NOW), "just now");
  assert.equal(formatMoment(after(-5), NOW), "5 min ago");
});
