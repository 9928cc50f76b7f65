import assert from "node:assert/strict";
import { test } from "node:test";

import { LogStore } from "../../static/js/log/store.js";
import { chance } from "./chance.js";

const encoder = new TextEncoder();

/** A server that answers as runs/log_views.py does, from a log that can grow. */
class Server {
  text = "";
  final = false;
  requests = [];
  /** Lines that fit into one answer. */
  most = 1000;
  broken = false;

  answer = async (start, count) => {
    this.requests.push([start, count]);
    await new Promise((resolve) => setImmediate(resolve));
    if (this.broken) throw new Error("The portal can't be reached.");
    const all = this.lines();
    const first = start < 0 ? Math.max(0, all.length + start) : start;
    const lines = all.slice(first, first + Math.min(count, this.most));
    const size = encoder.encode(this.text).length;
    return { start: first, lines, total: all.length, size, final: this.final };
  };

  lines() {
    let offset = 0;
    const lines = this.text.split("\n").map((t) => {
      const line = { o: offset, n: encoder.encode(t).length, t };
      offset += line.n + 1;
      return line;
    });
    return lines.at(-1).n ? lines : lines.slice(0, -1);
  }
}

function numbered(from, to) {
  return Array.from({ length: to - from }, (_, index) => `line ${from + index}\n`).join("");
}

/** Wait until `condition` holds, and fail if it does not within seconds. */
async function until(condition, what) {
  for (let tries = 0; tries < 500; tries += 1) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.fail(`in vain: ${what}`);
}

function withStore(name, run) {
  test(name, async () => {
    const server = new Server();
    const store = new LogStore(server.answer);
    try {
      await run(server, store);
    } finally {
      store.close();
    }
  });
}

withStore("the end is there at once, and what is wanted comes", async (server, store) => {
  server.text = numbered(0, 5000);
  await store.refresh();
  assert.equal(store.total, 5000);
  assert.equal(store.get(4999).t, "line 4999");
  assert.equal(store.get(100), undefined);
  store.want(90, 700);
  await until(() => store.get(90) && store.get(699), "the wanted lines");
  for (let number = 90; number < 700; number += 1) {
    assert.equal(store.get(number).t, `line ${number}`);
  }
  assert.equal(store.get(3000), undefined);
});

withStore("nothing is asked twice", async (server, store) => {
  server.text = numbered(0, 2000);
  await store.refresh();
  store.want(500, 800);
  await until(() => store.get(799), "the wanted lines");
  const count = server.requests.length;
  store.want(510, 790);
  store.want(1900, 2000);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(server.requests.length, count);
});

withStore("short answers are completed", async (server, store) => {
  server.text = numbered(0, 1000);
  server.most = 7;
  await store.refresh();
  store.want(0, 200);
  await until(() => store.get(199), "the wanted lines");
  for (let number = 0; number < 200; number += 1) {
    assert.equal(store.get(number).t, `line ${number}`);
  }
});

withStore("a failure is told and tried again", async (server, store) => {
  server.text = numbered(0, 1000);
  await store.refresh();
  server.broken = true;
  const troubles = [];
  store.addEventListener("trouble", ({ detail }) => troubles.push(detail.message));
  store.want(0, 10);
  await until(() => troubles.length, "the trouble");
  assert.deepEqual(troubles, ["The portal can't be reached."]);
  server.broken = false;
  await until(() => store.get(0), "the lines");
});

withStore("pages and the live tail join without a gap or a double", async (server, store) => {
  const random = chance(4);
  server.text = numbered(0, 1000);
  await store.refresh();
  let offset = encoder.encode(server.text).length;
  store.beginTail(offset, 1000);
  store.isStreaming = true;
  let number = 1000;
  for (let round = 0; round < 50; round += 1) {
    const next = number + random(20);
    const added = numbered(number, next);
    server.text += added;
    const bytes = encoder.encode(added);
    const middle = random(bytes.length + 1);
    assert.ok(store.append(offset, bytes.slice(0, middle)));
    assert.ok(store.append(offset + middle, bytes.slice(middle)));
    offset += bytes.length;
    number = next;
    assert.equal(store.count, number);
    assert.equal(store.get(number - 1).t, `line ${number - 1}`);
  }
  store.want(0, number);
  await until(() => store.get(0) && store.get(500), "the pages");
  await until(() => !missing(store, number).length, "all lines");
  for (let at = 0; at < number; at += 1) assert.equal(store.get(at).t, `line ${at}`);
});

function missing(store, count) {
  return Array.from({ length: count }, (_, at) => at).filter((at) => !store.get(at));
}

withStore("lines that a skip left out are fetched when wanted", async (server, store) => {
  server.text = numbered(0, 100);
  store.beginTail(0, 0);
  store.append(0, encoder.encode(server.text));
  server.text += numbered(100, 5000);
  const tail = encoder.encode(server.text).length;
  store.beginTail(tail, 5000);
  server.text += numbered(5000, 5010);
  store.append(tail, encoder.encode(numbered(5000, 5010)));
  assert.equal(store.total, 5010);
  assert.equal(store.get(50), undefined);
  store.want(40, 60);
  await until(() => store.get(50), "the line that was skipped");
  assert.equal(store.get(5009).t, "line 5009");
});

withStore("an unfinished line is looked at again when it has grown", async (server, store) => {
  server.text = "first\nhalf";
  await store.refresh();
  assert.equal(store.get(1).open, true);
  server.text += " and whole\nthird\n";
  store.grow(encoder.encode(server.text).length, 3);
  store.want(0, 3);
  await until(() => store.get(1).t === "half and whole" && store.get(2), "the rest");
  assert.equal(store.get(1).open, false);
});

withStore("lines still on their way are not shown as missing", async (server, store) => {
  store.beginTail(0, 0);
  store.isStreaming = true;
  store.append(0, encoder.encode("a\nb\n"));
  store.grow(1000, 300);
  assert.equal(store.count, 2);
  assert.equal(store.total, 300);
  store.isStreaming = false;
  assert.equal(store.count, 300);
});

withStore("a log that begins anew is forgotten", async (server, store) => {
  server.text = numbered(0, 300);
  await store.refresh();
  store.reset();
  assert.equal(store.total, 0);
  assert.equal(store.get(299), undefined);
});

withStore("the beginning of a line that the tail lacks is fetched", async (server, store) => {
  server.text = `first\n<head>${"x".repeat(50_000)}`;
  server.answer = async () => ({
    start: 1,
    lines: [{ o: 6, n: 50_006, t: `<head>${"x".repeat(8186)}`, e: "x".repeat(8192) }],
    total: 2,
    size: 50_012,
    final: false,
  });
  store.fetchLines = server.answer;
  store.beginTail(20_012, 1);
  store.append(20_012, encoder.encode("x".repeat(30_000)));
  assert.equal(store.get(1), undefined);
  store.want(1, 2);
  await until(() => store.get(1), "the line");
  store.append(50_012, encoder.encode("tail>"));
  assert.ok(store.get(1).t.startsWith("<head>"));
  assert.ok(store.get(1).e.endsWith("tail>"));
  assert.equal(store.get(1).n, 50_011);
});
