import assert from "node:assert/strict";
import { test } from "node:test";

import { hashOf, linesOf } from "../../static/js/log/address.js";
import { formatBytes, formatPlural } from "../../static/js/log/format.js";
import {
  anchorAt,
  moved,
  rangeAround,
  scaleOf,
  toLogical,
  toPosition,
} from "../../static/js/log/geometry.js";
import { statusOf } from "../../static/js/log/status.js";

test("a bar that is long enough is exact", () => {
  const scale = scaleOf(1000, 20, 500);
  assert.equal(scale.height, 20_000);
  for (const place of [0, 1, 777, 19_500]) {
    assert.equal(toLogical(scale, place), place);
    assert.equal(toPosition(scale, place), place);
  }
});

test("a bar of a billion lines is no longer than browsers can draw", () => {
  const scale = scaleOf(1e9, 20, 500);
  assert.ok(scale.height < 16_000_000);
  assert.equal(toLogical(scale, 0), 0);
  assert.equal(toLogical(scale, scale.end), scale.logicalEnd);
  assert.equal(scale.logicalEnd - toLogical(scale, scale.end - 40), 40);
  let last = -1;
  for (let position = 0; position <= scale.end; position += scale.end / 997) {
    const logical = toLogical(scale, position);
    assert.ok(logical > last);
    assert.ok(Math.abs(toPosition(scale, logical) - position) < 0.01);
    last = logical;
  }
});

test("fewer lines than fit have nowhere to scroll to", () => {
  const scale = scaleOf(3, 20, 500);
  assert.equal(scale.end, 0);
  assert.equal(toPosition(scale, Infinity), 0);
});

test("an anchor moves over rows of different heights and back", () => {
  const heightOf = (row) => (row % 3 ? 20 : 60);
  let anchor = { row: 4, offset: 5 };
  anchor = moved(anchor, 100, 100, heightOf);
  assert.deepEqual(anchor, { row: 7, offset: 5 });
  assert.deepEqual(moved(anchor, -100, 100, heightOf), { row: 4, offset: 5 });
  assert.deepEqual(moved(anchor, -9999, 100, heightOf), { row: 0, offset: 0 });
  assert.equal(moved(anchor, 99_999, 100, heightOf).row, 99);
});

test("an anchor among even rows", () => {
  assert.deepEqual(anchorAt(45, 20), { row: 2, offset: 5 });
});

test("the view is full at the end as well", () => {
  assert.deepEqual(rangeAround(50, 1000, 10, 2), { first: 48, last: 62 });
  assert.deepEqual(rangeAround(999, 1000, 10, 2), { first: 988, last: 1000 });
  assert.deepEqual(rangeAround(0, 3, 10, 2), { first: 0, last: 3 });
});

test("addresses of lines", () => {
  assert.deepEqual(linesOf("#L12"), { first: 11, last: 11 });
  assert.deepEqual(linesOf("#L20-L12"), { first: 11, last: 19 });
  assert.deepEqual(linesOf("#L12-20"), { first: 11, last: 19 });
  for (const wrong of ["", "#", "#L0", "#L", "#L1x", "#L-3", `#L${"9".repeat(16)}`]) {
    assert.equal(linesOf(wrong), null, wrong);
  }
  assert.equal(hashOf({ first: 11, last: 11 }), "#L12");
  assert.equal(hashOf({ first: 11, last: 19 }), "#L12-L20");
});

test("sizes and counts in words", () => {
  assert.equal(formatBytes(1), "1 byte");
  assert.equal(formatBytes(999), "999 bytes");
  assert.equal(formatBytes(1000), "1.0 kB");
  assert.equal(formatBytes(199_499_999), "199 MB");
  assert.equal(formatBytes(999_600_000), "1.0 GB");
  assert.equal(formatPlural(1, "line"), "1 line");
  assert.equal(formatPlural(20_000, "line"), "20,000 lines");
});

test("what is most important is said", () => {
  const live = {
    isFinal: false,
    isActive: true,
    isFollowing: true,
    trouble: "",
    connection: { state: "open" },
  };
  const lost = { ...live, connection: { state: "waiting" } };
  const refused = { ...lost, connection: { state: "refused", detail: "signed-out" } };
  assert.deepEqual(statusOf(live), { tone: "live", text: "Following" });
  assert.equal(statusOf({ ...live, isFollowing: false }).tone, "quiet");
  assert.deepEqual(statusOf(lost), { tone: "warning", text: "Reconnecting…" });
  assert.equal(statusOf({ ...lost, isFinal: true }).text, "Complete");
  assert.equal(statusOf({ ...lost, trouble: "No answer." }).text, "No answer.");
  assert.match(statusOf({ ...refused, isFinal: true }).text, /signed out/);
});
