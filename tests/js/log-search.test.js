import assert from "node:assert/strict";
import { test } from "node:test";

import { matchesIn, withMatches } from "../../static/js/log/matches.js";
import { LogSearch, nearest } from "../../static/js/log/search.js";
import { countText } from "../../static/js/log/search-box.js";

/** A log of 100 bytes a line, searched in pieces as runs/log_views.py does. */
class Server {
  asked = [];
  size = 0;
  lines = [];
  broken = false;

  constructor(count, lines) {
    this.size = count * 100;
    this.lines = lines;
  }

  search = () => new LogSearch(this.#answer, () => this.size);

  #answer = async (query, _matchCase, from, signal) => {
    this.asked.push(from);
    await new Promise((resolve) => setImmediate(resolve));
    signal.throwIfAborted();
    if (this.broken) throw new Error("The portal can't be reached.");
    const to = from + 1000;
    const hits = this.lines
      .filter((line) => line * 100 >= from && line * 100 < to)
      .map((line) => ({ line, o: line * 100, t: query }));
    return { hits, next: to < this.size ? to : null };
  };
}

test("a search goes through the whole log, piece by piece", async () => {
  const server = new Server(45, [0, 17, 44]);
  const search = server.search();
  await search.start("needle", false);
  assert.deepEqual(server.asked, [0, 1000, 2000, 3000, 4000]);
  assert.deepEqual(search.hits.map((hit) => hit.line), [0, 17, 44]);
  assert.equal(search.hasMore, false);
  assert.equal(search.isBusy, false);
});

test("steps go from hit to hit and around", async () => {
  const search = new Server(50, [5, 20, 40]).search();
  await search.start("needle", false);
  const lines = [];
  for (const direction of [1, 1, 1, -1, -1]) {
    lines.push((await search.step(direction, 10)).line);
  }
  assert.deepEqual(lines, [20, 40, 5, 40, 20]);
});

test("a step during a search waits for the nearest hit", async () => {
  const search = new Server(50, [5, 40]).search();
  search.start("needle", false);
  assert.ok(search.isBusy);
  assert.equal((await search.step(1, 30)).line, 40);
});

test("a step of a search that another one replaced leads nowhere", async () => {
  const search = new Server(50, [40]).search();
  search.start("needle", false);
  const step = search.step(1, 0);
  await search.start("other", false);
  assert.equal(await step, null);
  assert.equal(search.index, -1);
});

test("what a log has grown by is searched when the last hit is left", async () => {
  const server = new Server(10, [3]);
  const search = server.search();
  await search.start("needle", false);
  assert.equal((await search.step(1, 0)).line, 3);
  server.size = 2000;
  server.lines.push(15);
  assert.ok(search.hasMore);
  assert.equal((await search.step(1, 0)).line, 15);
});

test("a search that broke off says why and can go on", async () => {
  const server = new Server(45, [44]);
  const search = server.search();
  server.broken = true;
  await search.start("needle", false);
  assert.equal(search.trouble, "The portal can't be reached.");
  assert.equal(search.isBusy, false);
  server.broken = false;
  await search.more();
  assert.equal(search.trouble, "");
  assert.equal(search.hits.length, 1);
});

test("the nearest hit is looked for in the direction of the step", () => {
  const hits = [5, 20, 40].map((line) => ({ line }));
  assert.equal(nearest(hits, 20, 1), 1);
  assert.equal(nearest(hits, 20, -1), 0);
  assert.equal(nearest(hits, 41, 1), 0);
  assert.equal(nearest(hits, 41, -1), 2);
  assert.equal(nearest(hits, 0, -1), 2);
});

test("the number of hits in words", () => {
  const none = { query: "q", hits: [], index: -1, isBusy: false, hasMore: false, trouble: "" };
  const one = { ...none, hits: [{}] };
  assert.equal(countText({ ...none, query: "" }), "");
  assert.equal(countText(none), "No line");
  assert.equal(countText(one), "1 line");
  assert.equal(countText({ ...one, hasMore: true, isBusy: true, progress: 0.428 }), "1+ line, 42 %");
  assert.equal(countText({ ...none, hits: Array(2000), index: 1233 }), "1,234 of 2,000 lines");
  assert.equal(countText({ ...one, trouble: "It broke." }), "It broke.");
});

test("matches are found in any case, and overlap with nothing", () => {
  const found = (...args) => matchesIn(...args).map(({ start, end }) => [start, end]);
  assert.deepEqual(found("aAaa", "aa", false), [[0, 2], [2, 4]]);
  assert.deepEqual(found("aAaa", "aa", true), [[2, 4]]);
  assert.deepEqual(found("Größe", "GRÖ", false), [[0, 3]]);
  // "İ" becomes two letters in lower case: places must not shift.
  assert.deepEqual(found("İx", "x", false), [[1, 2]]);
  assert.deepEqual(found("text", "", false), []);
});

test("a match across colours keeps them and changes no text", () => {
  const red = { fg: 1 };
  const spans = [{ text: "one tw", style: {} }, { text: "o three", style: red }];
  const marked = withMatches(spans, "two", false);
  assert.deepEqual(marked.map(({ text, match }) => [text, Boolean(match)]), [
    ["one ", false],
    ["tw", true],
    ["o", true],
    [" three", false],
  ]);
  assert.equal(marked[2].style, red);
});
