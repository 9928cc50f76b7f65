import assert from "node:assert/strict";
import { test } from "node:test";

import { PIECE } from "../../static/js/log/lines.js";
import { Tail } from "../../static/js/log/tail.js";
import { chance } from "./chance.js";

const bytesOf = (text) => new TextEncoder().encode(text);
const shown = (line) => line && { ...line, number: undefined };

function linesOf(bytes) {
  const lines = [];
  let start = 0;
  while (start < bytes.length) {
    const newline = bytes.indexOf(10, start);
    const end = newline < 0 ? bytes.length : newline;
    lines.push({ o: start, n: end - start, open: newline < 0, bytes: bytes.slice(start, end) });
    start = end + 1;
  }
  return lines;
}

test("frames of any size give the same lines", () => {
  const random = chance(2);
  const pieces = ["a", "line\n", "\n", "ä€😀", "\r\n", "x".repeat(40), "0%\r1%"];
  for (let round = 0; round < 300; round += 1) {
    const text = Array.from({ length: random(30) }, () => pieces[random(pieces.length)]);
    const bytes = bytesOf(text.join(""));
    const tail = new Tail(1 << 20, 16);
    tail.begin(0, 0);
    for (let at = 0; at < bytes.length; ) {
      const to = at + 1 + random(30);
      // Some bytes come twice, as after a reconnection.
      const from = Math.max(0, at - random(5));
      assert.ok(tail.append(from, bytes.slice(from, to)));
      at = to;
    }
    const lines = linesOf(bytes);
    assert.equal(tail.end, bytes.length);
    assert.equal(tail.total, lines.length);
    lines.forEach(({ o, n, open, bytes: content }, number) => {
      const t = new TextDecoder().decode(content, { stream: open });
      assert.deepEqual(tail.get(number), { number, o, n, open, t });
    });
    assert.equal(tail.get(lines.length), undefined);
    assert.equal(tail.get(-1), undefined);
  }
});

test("a gap is refused and changes nothing", () => {
  const tail = new Tail();
  tail.begin(100, 7);
  assert.equal(tail.append(101, bytesOf("late")), false);
  assert.equal(tail.end, 100);
  assert.ok(tail.append(90, bytesOf("0123456789abc\n")));
  assert.deepEqual(shown(tail.get(7)), shown({ o: 100, n: 3, t: "abc", open: false }));
});

test("lines are counted on from where the tail begins", () => {
  const tail = new Tail();
  tail.begin(5000, 120);
  assert.ok(tail.isEmpty);
  assert.equal(tail.total, 120);
  tail.append(5000, bytesOf("one\ntwo\nthr"));
  assert.equal(tail.total, 123);
  assert.deepEqual(tail.get(122), { number: 122, o: 5008, n: 3, open: true, t: "thr" });
  tail.append(5011, bytesOf("ee\n"));
  assert.equal(tail.total, 123);
  assert.equal(tail.get(122).t, "three");
});

test("a character that is not whole yet is not shown", () => {
  const tail = new Tail();
  const [first, ...rest] = bytesOf("€");
  tail.begin(0, 0);
  tail.append(0, new Uint8Array([97, first]));
  assert.equal(tail.get(0).t, "a");
  tail.append(2, new Uint8Array(rest));
  assert.equal(tail.get(0).t, "a€");
});

test("a long line keeps both its ends, however much of it is let go", () => {
  const tail = new Tail(64 * 1024, 16 * 1024);
  tail.begin(0, 0);
  tail.append(0, bytesOf("before\n<head>"));
  for (let piece = 0; piece < 400; piece += 1) {
    tail.append(tail.end, bytesOf("x".repeat(1000)));
    const line = tail.get(1);
    if (line?.e) {
      assert.equal(line.n, 6 + 1000 * (piece + 1));
      assert.ok(line.t.startsWith("<head>x"));
      assert.equal(line.t.length, PIECE);
      assert.equal(line.e, "x".repeat(PIECE));
    }
  }
  assert.equal(tail.get(0), undefined);
  assert.equal(tail.firstLine, 1);
  tail.append(tail.end, bytesOf("</end>\nafter"));
  assert.ok(tail.get(1).e.endsWith("x</end>"));
  assert.equal(tail.get(1).open, false);
  assert.equal(tail.get(2).t, "after");
});

test("old lines are let go and never shown in part", () => {
  const random = chance(3);
  for (let round = 0; round < 30; round += 1) {
    const lengths = Array.from({ length: 60 }, () => random(random(10) ? 300 : 40_000));
    const all = lengths.map((length, number) => `${number}:${"y".repeat(length)}`);
    const bytes = bytesOf(all.join("\n"));
    const tail = new Tail(50_000, 4096);
    tail.begin(0, 0);
    for (let at = 0; at < bytes.length; at += 3000) {
      tail.append(at, bytes.slice(at, at + 3000));
    }
    for (const [number, text] of all.entries()) {
      const line = tail.get(number);
      if (!line) continue;
      assert.equal(line.n, text.length);
      const whole = line.e === undefined;
      assert.equal(line.t, whole ? text : text.slice(0, PIECE));
      if (!whole) assert.equal(line.e, text.slice(-PIECE));
    }
    assert.equal(tail.get(all.length - 1).open, true);
  }
});

test("a tail that begins within a line waits for the beginning of that line", () => {
  const tail = new Tail();
  tail.begin(1_000_000, 4);
  tail.append(1_000_000, bytesOf("z".repeat(300_000)));
  assert.equal(tail.get(4), undefined);
  assert.equal(tail.total, 5);
  tail.setHead({ number: 4, o: 200_000, t: `<head>${"q".repeat(20_000)}`, n: 1_100_000 });
  const line = tail.get(4);
  assert.equal(line.o, 200_000);
  assert.equal(line.n, 1_100_000);
  assert.equal(line.t.length, PIECE);
  assert.ok(line.t.startsWith("<head>q"));
  assert.equal(line.e, "z".repeat(PIECE));
});

test("a tail that begins with a line shows it once that is known", () => {
  const tail = new Tail();
  tail.begin(1000, 4);
  tail.append(1000, bytesOf(`${"z".repeat(30_000)}\nnext\n`));
  assert.equal(tail.get(4), undefined);
  assert.equal(tail.get(5).t, "next");
  tail.setHead({ number: 4, o: 1000, t: "z".repeat(PIECE), n: 30_000 });
  assert.equal(tail.get(4).n, 30_000);
});
