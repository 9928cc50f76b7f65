import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";

import { nothingIn, readDrop, readInput } from "../../static/js/upload/folder.js";
import { send } from "../../static/js/upload/send.js";
import { sendContents } from "../../static/js/upload/sender.js";
import { tar } from "../../static/js/upload/tar.js";

function fileEntry(name, text = "") {
  return { name, isDirectory: false, file: (give) => give(new File([text], name)) };
}

/** As Chromium does it: at most a hundred at a time, and later than asked. */
function folderEntry(name, children) {
  const createReader = () => {
    let given = 0;
    const readEntries = (give) => {
      const batch = children.slice(given, given + 100);
      given += batch.length;
      queueMicrotask(() => give(batch));
    };
    return { readEntries };
  };
  return { name, isDirectory: true, createReader };
}

function drop(...entries) {
  const items = entries.map((entry) => ({ kind: "file", webkitGetAsEntry: () => entry }));
  return { items: [{ kind: "string", webkitGetAsEntry: () => null }, ...items] };
}

function chosen(path, text = "") {
  const file = new File([text], path.split("/").at(-1));
  Object.defineProperty(file, "webkitRelativePath", { value: path });
  return file;
}

const DEFAULTS = [".git", "venv", ".venv", "__pycache__", "node_modules", "._*", ".DS_Store"];
const read = (transfer, more = {}) => readDrop(transfer, { defaults: DEFAULTS, ...more });
const paths = (folder) => folder.files.map(({ path }) => path);

test("a dropped folder gives all its files without its own name", async () => {
  const many = Array.from({ length: 250 }, (_, place) => fileEntry(`${place}.txt`, "ab"));
  const inner = folderEntry("data", [folderEntry("deep", many), fileEntry("ü.csv")]);
  const found = await read(drop(folderEntry("proj", [inner, fileEntry("b.py")])));
  assert.equal(found.name, "proj");
  assert.equal(found.files.length, 252);
  assert.equal(found.totalBytes, 500);
  assert.deepEqual(paths(found), [...paths(found)].sort());
  assert.ok(paths(found).includes("data/deep/249.txt"));
});

test("what no script needs is left out without being read", async () => {
  const unreadable = { name: "x", isDirectory: false, file: (_, fail) => fail() };
  const junk = [".git", "venv", ".venv", "__pycache__", "node_modules", "._x"];
  const folders = junk.map((name) => folderEntry(name, [unreadable]));
  const entries = [...folders, fileEntry(".DS_Store"), fileEntry("a.py")];
  const found = await read(drop(folderEntry("p", [folderEntry("q", entries)])));
  assert.deepEqual(paths(found), ["q/a.py"]);
  const leftOut = found.leftOut.map(({ path }) => path);
  assert.deepEqual(leftOut, [...junk, ".DS_Store"].map((n) => `q/${n}`).sort());
});

test("a folder that was chosen itself is kept whatever its name", async () => {
  const found = await read(drop(folderEntry("venv", [fileEntry("a.py")])));
  assert.deepEqual(paths(found), ["a.py"]);
});

test("one file, or several things, are taken as they are", async () => {
  const one = await read(drop(fileEntry("train.py", "x")));
  assert.equal(one.name, "train.py");
  const two = await read(drop(fileEntry("b"), folderEntry("a", [fileEntry("c")])));
  assert.equal(two.name, "");
  assert.deepEqual(paths(two), ["a/c", "b"]);
});

test("a chosen folder is what the same folder dropped is", async () => {
  const list = [
    chosen("proj/b.py", "12"),
    chosen("proj/.git/objects/aa", "123"),
    chosen("proj/.git/HEAD"),
    chosen("proj/a/b.py", "3"),
  ];
  const options = { defaults: DEFAULTS };
  const found = await readInput(list, options);
  assert.deepEqual(paths(found), ["a/b.py", "b.py"]);
  assert.deepEqual(found.leftOut, [{ path: ".git", rule: "by default: .git" }]);
  assert.equal(found.git.name, ".git");
  assert.equal(found.name, "proj");
  assert.equal(found.totalBytes, 3);
  const one = await readInput([new File(["x"], "train.py")], options);
  assert.deepEqual(paths(one), ["train.py"]);
  assert.deepEqual(paths(await readInput([], options)), []);
});

test("ignore files count, those in folders too, and empty folders are kept", async () => {
  const inner = folderEntry("lib", [
    fileEntry(".gitignore", "/here\n!keep.log\n"),
    folderEntry("here", [fileEntry("x")]),
    fileEntry("keep.log"),
    folderEntry("none", []),
  ]);
  const rules = fileEntry(".gitignore", "*.log\n!venv/\n");
  const venv = folderEntry("venv", [fileEntry("y")]);
  const found = await read(
    drop(folderEntry("p", [fileEntry("a.log"), inner, venv, rules, fileEntry("b.py")])),
  );
  const kept = [".gitignore", "b.py", "lib/.gitignore", "lib/keep.log", "venv/y"];
  assert.deepEqual(paths(found), kept);
  assert.deepEqual(found.leftOut, [
    { path: "a.log", rule: ".gitignore:1: *.log" },
    { path: "lib/here", rule: "lib/.gitignore:1: /here" },
  ]);
  assert.deepEqual(found.emptyFolders, ["lib/none"]);
});

test("where nothing is left, the rule that left it out is told", async () => {
  const all = folderEntry("p", [fileEntry(".gitignore", "# All\n*\n"), fileEntry("a.py")]);
  assert.match(nothingIn(await read(drop(all))), /“\.gitignore” \(\.gitignore:2: \*\)\./);
  assert.match(nothingIn(await read(drop(folderEntry("p", [])))), /holds no files\. Send/);
});

test("an ignore file that is too large is told", async () => {
  const rules = fileEntry(".gitignore", "x".repeat(256 * 1024 + 1));
  const dropped = drop(folderEntry("p", [rules]));
  await assert.rejects(read(dropped), /“.gitignore” is larger than 256 KiB/);
});

test("too many files are told, and so is what can't be read", async () => {
  const many = Array.from({ length: 9 }, (_, place) => fileEntry(`${place}`));
  const counts = [];
  const options = { maxFiles: 8, onFound: (count) => counts.push(count) };
  const dropped = drop(folderEntry("p", many));
  await assert.rejects(read(dropped, options), /more than 8 files.+ so far: 0 \(0 bytes\), 1/);
  assert.deepEqual(counts, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  const locked = { name: "x", isDirectory: false, file: (_, fail) => fail() };
  await assert.rejects(read(drop(folderEntry("p", [locked]))), /“x” can't be read/);
});

test("no file is read for an archive", () => {
  class Unread extends Blob {
    stream() {
      throw new Error("read");
    }
  }
  const archive = tar([{ path: "a", file: new Unread(["x".repeat(1000)]) }]);
  assert.equal(archive.size, 512 + 1024 + 1024);
});

/** The part of XMLHttpRequest that is used, over fetch. */
class Request {
  upload = {};
  #headers = {};
  #controller = new AbortController();

  open(method, url) {
    this.method = method;
    this.url = url;
  }

  setRequestHeader(name, value) {
    this.#headers[name] = value;
  }

  abort() {
    this.#controller.abort();
  }

  async send(body) {
    const { method, url } = this;
    const { signal } = this.#controller;
    try {
      const answer = await fetch(url, { method, body, headers: this.#headers, signal });
      this.responseText = await answer.text();
      this.status = answer.status;
      this.upload.onprogress({ loaded: body.size, total: body.size });
      this.onload();
    } catch {
      if (signal.aborted) this.onabort();
      else this.onerror();
    }
    this.onloadend();
  }
}

globalThis.XMLHttpRequest = Request;

async function serve(handler, use) {
  const server = createServer(handler).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  try {
    await use(`http://127.0.0.1:${server.address().port}/`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

function answering(status, text) {
  return (request, response) => {
    request.resume();
    request.on("end", () => response.writeHead(status).end(text));
  };
}

test("the answer is what the portal says, and the progress is told", async () => {
  const told = [];
  const seen = {};
  const handler = (request, response) => {
    Object.assign(seen, request.headers);
    answering(200, '{"snapshot": "1"}')(request, response);
  };
  const options = {
    csrfToken: "t",
    headers: { "Content-Type": "application/x-tar" },
    onProgress: (sent, total) => told.push([sent, total]),
  };
  await serve(handler, async (url) => {
    const answer = await send(url, new Blob(["12345"]), options);
    assert.deepEqual(answer, { snapshot: "1" });
  });
  assert.deepEqual(told, [[5, 5]]);
  assert.equal(seen["x-csrftoken"], "t");
  assert.equal(seen["content-type"], "application/x-tar");
});

for (const [status, text, pattern] of [
  [422, '{"error": "It is damaged.", "advice": "Send it again."}', /^It is d.+ again\.$/],
  [413, "<html>", /larger than the portal takes/],
  [403, "<html>", /not signed in any more/],
  [200, "<html>", /not signed in any more/],
  [502, "<html>", /error \(502\)/],
]) {
  test(`an answer of ${status} is an error in words: ${text.slice(0, 8)}`, async () => {
    await serve(answering(status, text), async (url) => {
      const failure = await send(url, new Blob(["x"])).catch((error) => error);
      assert.equal(failure.name, "SendError");
      assert.equal(failure.status, status);
      assert.match(failure.message, pattern);
    });
  });
}

test("a lost connection is told", async () => {
  await serve(
    (request) => request.socket.destroy(),
    async (url) => {
      await assert.rejects(send(url, new Blob(["x"])), /connection to the portal was lost/);
    },
  );
});

test("what is stopped ends as stopped", async () => {
  const controller = new AbortController();
  const { signal } = controller;
  await serve(
    () => controller.abort(),
    async (url) => {
      await assert.rejects(send(url, new Blob(["x"]), { signal }), { name: "AbortError" });
      await assert.rejects(send(url, new Blob(["x"]), { signal }), { name: "AbortError" });
    },
  );
});

/** Takes pieces as the portal does, and loses the connection at some of them. */
class Pieces {
  size = 0;
  received = 0;
  requests = 0;

  constructor(losing) {
    this.losing = losing;
  }

  handle(request, response) {
    this.requests += 1;
    const number = this.requests;
    const { searchParams } = new URL(request.url, "http://localhost");
    let size = 0;
    request.on("data", (data) => (size += data.length));
    request.on("end", () => {
      const isInPlace = Number(searchParams.get("offset")) === this.received;
      if (request.method === "POST" && isInPlace) this.received += size;
      if (this.losing.includes(number)) return request.socket.destroy();
      const status = request.method === "POST" && !isInPlace ? 409 : 200;
      response.writeHead(status, { Connection: "close" });
      response.end(JSON.stringify({ received: this.received }));
    });
  }
}

test("several are sent at a time", async () => {
  const contents = Array.from({ length: 6 }, (_, place) => ({
    sha256: `${place}`,
    file: new Blob([new Uint8Array(3 * 1024 * 1024)]),
  }));
  let most = 0;
  const waiting = [];
  const together = (request, response) => {
    request.resume();
    request.on("end", () => {
      if (request.method === "GET") return response.end('{"received": 0}');
      waiting.push(() => response.end(`{"received": ${3 * 1024 * 1024}}`));
      most = Math.max(most, waiting.length);
      // Four come before any of them is answered; then the last two.
      if (waiting.length === 4 || most === 4) waiting.splice(0).forEach((go) => go());
    });
  };
  await serve(together, (url) =>
    sendContents(contents, {
      url,
      signal: new AbortController().signal,
      onProgress: () => {},
    }),
  );
  assert.equal(most, 4);
});

test("a file that was changed is told at once, and not tried again", async () => {
  class Changed extends Blob {
    name = "train.py";
    slice() {
      return { arrayBuffer: () => Promise.reject(new DOMException("", "NotReadableError")) };
    }
  }
  const options = { signal: new AbortController().signal, onProgress: () => {} };
  const contents = [{ sha256: "ab", file: new Changed(["x"]) }];
  await serve(
    (request) => request.socket.destroy(),
    async (url) => {
      const sending = sendContents(contents, { ...options, url, pauses: [0] });
      await assert.rejects(sending, /“train.py” was changed or removed meanwhile/);
    },
  );
});

for (const losing of [[], [1], [2], [2, 4, 5], [3, 4]]) {
  test(`a large file goes on where it stopped: lost at ${losing}`, async () => {
    const file = new Blob([new Uint8Array(20 * 1024 * 1024)]);
    const pieces = new Pieces(losing);
    const told = [];
    const lost = [];
    await serve(
      (...both) => pieces.handle(...both),
      (url) =>
        sendContents([{ sha256: "ab", file }], {
          url,
          signal: new AbortController().signal,
          onProgress: (sent) => told.push(sent),
          onLost: (seconds) => lost.push(seconds),
          pauses: [0, 0, 0],
        }),
    );
    assert.equal(pieces.received, file.size);
    assert.equal(told.at(-1), file.size);
    assert.equal(lost.length, losing.length);
  });
}

test("what stays lost is told, and what is refused is not sent again", async () => {
  const options = {
    signal: new AbortController().signal,
    onProgress: () => {},
    pauses: [0],
  };
  const contents = [{ sha256: "ab", file: new Blob(["x"]) }];
  let requests = 0;
  const count = (handler) => (request, response) => {
    requests += 1;
    handler(request, response);
  };
  const lose = count((request) => request.socket.destroy());
  await serve(lose, async (url) => {
    await assert.rejects(sendContents(contents, { ...options, url }), /connection .+ lost/);
  });
  assert.equal(requests, 2);
  const refuse = count(answering(422, '{"error": "It is something else."}'));
  await serve(refuse, async (url) => {
    await assert.rejects(sendContents(contents, { ...options, url }), /something else/);
  });
  assert.equal(requests, 3);
});
