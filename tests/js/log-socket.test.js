import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { parseFrame, pauseBefore, subscribe } from "../../static/js/run-socket.js";

/** The browser's end of a socket whose server the test plays. */
class Wire {
  sent = [];
  isClosed = false;

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close() {
    this.isClosed = true;
    this.onclose?.({ code: 1005 });
  }

  say(message) {
    this.onmessage({ data: JSON.stringify(message) });
  }

  sendBytes(offset, bytes) {
    const frame = new Uint8Array(8 + bytes.length);
    new DataView(frame.buffer).setBigUint64(0, BigInt(offset));
    frame.set(bytes, 8);
    this.onmessage({ data: frame.buffer });
  }
}

function withSocket(name, run) {
  test(name, async (context) => {
    mock.timers.enable({ apis: ["setTimeout"] });
    context.after(() => mock.timers.reset());
    const wires = [];
    const open = () => wires[wires.push(new Wire()) - 1];
    await run((listener) => subscribe(name, listener, open), wires);
  });
}

withSocket("parts of a page share one socket until the last has left", (listen, wires) => {
  const heard = [];
  const first = listen({ message: ({ type }) => heard.push(`first ${type}`) });
  const second = listen({ message: ({ type }) => heard.push(`second ${type}`) });
  wires[0].onopen();
  wires[0].say({ type: "changed" });
  assert.deepEqual(heard, ["first changed", "second changed"]);
  first.close();
  assert.ok(!wires[0].isClosed);
  second.close();
  assert.ok(wires[0].isClosed);
  mock.timers.tick(60_000);
  assert.equal(wires.length, 1);
});

withSocket("after a lost connection a follower goes on where it was", (listen, wires) => {
  let end = 0;
  const live = listen({ bytes: (offset, bytes) => (end = offset + bytes.length) });
  wires[0].onopen();
  live.follow(() => ({ from: end, skip: true }));
  wires[0].sendBytes(2 ** 40, [1, 2, 3]);
  live.acknowledge(end);
  assert.deepEqual(wires[0].sent, [
    { type: "follow", from: 0, skip: true },
    { type: "ack", offset: 2 ** 40 + 3 },
  ]);
  wires[0].onclose({ code: 1006 });
  mock.timers.tick(60_000);
  wires[1].onopen();
  assert.deepEqual(wires[1].sent, [{ type: "follow", from: 2 ** 40 + 3, skip: true }]);
  live.close();
});

withSocket("who stopped following is not asked again", (listen, wires) => {
  const live = listen({});
  live.follow(() => ({ from: 0 }));
  live.unfollow();
  wires[0].onopen();
  assert.deepEqual(wires[0].sent, []);
  live.close();
});

withSocket("a refusal is told and ends the attempts", (listen, wires) => {
  const states = [];
  const live = listen({ state: (...state) => states.push(state) });
  wires[0].onopen();
  wires[0].onclose({ code: 4404 });
  assert.deepEqual(states, [["connecting"], ["open", undefined], ["refused", "no-such-run"]]);
  mock.timers.tick(60_000);
  assert.equal(wires.length, 1);
  live.close();
});

withSocket("attempts become rarer until something is heard", (listen, wires) => {
  const live = listen({});
  const pauses = [];
  for (let attempt = 0; attempt < 4; attempt += 1) {
    wires.at(-1).onclose({ code: 1006 });
    const count = wires.length;
    let waited = 0;
    for (; wires.length === count; waited += 50) mock.timers.tick(50);
    pauses.push(waited);
  }
  assert.deepEqual(pauses, pauses.toSorted((a, b) => a - b));
  assert.ok(pauses[3] > 2000);
  wires.at(-1).onopen();
  wires.at(-1).say({ type: "grown" });
  wires.at(-1).onclose({ code: 1006 });
  mock.timers.tick(500);
  assert.equal(wires.length, 6);
  live.close();
});

test("pauses are spread and bounded", () => {
  assert.equal(pauseBefore(0, 0), 300);
  assert.equal(pauseBefore(0, 1), 500);
  assert.equal(pauseBefore(1000, 1), 15_000);
});

test("a frame is taken apart", () => {
  const frame = new Uint8Array([0, 0, 0, 1, 0, 0, 0, 2, 65, 66]).buffer;
  const { offset, bytes } = parseFrame(frame);
  assert.equal(offset, 2 ** 32 + 2);
  assert.deepEqual([...bytes], [65, 66]);
});
