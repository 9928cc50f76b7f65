import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";

import { readDrop, readInput } from "../../static/js/upload/folder.js";
import { send } from "../../static/js/upload/send.js";
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

const paths = (folder) => folder.files.map(({ path }) => path);

test("a dropped folder gives all its files without its own name", async () => {
  const many = Array.from({ length: 250 }, (_, place) => fileEntry(`${place}.txt`, "ab"));
  const inner = folderEntry("data", [folderEntry("deep", many), fileEntry("ü.csv")]);
  const found = await readDrop(drop(folderEntry("proj", [inner, fileEntry("b.py")])));
  assert.equal(found.name, "proj");
  assert.equal(found.isFolder, true);
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
  const found = await readDrop(drop(folderEntry("p", [folderEntry("q", entries)])));
  assert.deepEqual(paths(found), ["q/a.py"]);
  assert.deepEqual(found.leftOut, [...junk, ".DS_Store"].map((n) => `q/${n}`).sort());
});

test("a folder that was chosen itself is kept whatever its name", async () => {
  const found = await readDrop(drop(folderEntry("venv", [fileEntry("a.py")])));
  assert.deepEqual(paths(found), ["a.py"]);
});

test("one file, or several things, are taken as they are", async () => {
  const one = await readDrop(drop(fileEntry("train.py", "x")));
  assert.equal(one.name, "train.py");
  assert.equal(one.isFolder, false);
  const two = await readDrop(drop(fileEntry("b"), folderEntry("a", [fileEntry("c")])));
  assert.equal(two.name, "");
  assert.deepEqual(paths(two), ["a/c", "b"]);
});

test("a chosen folder is what the same folder dropped is", () => {
  const list = [
    chosen("proj/b.py", "12"),
    chosen("proj/.git/objects/aa", "123"),
    chosen("proj/.git/HEAD"),
    chosen("proj/a/b.py", "3"),
  ];
  const found = readInput(list);
  assert.deepEqual(paths(found), ["a/b.py", "b.py"]);
  assert.deepEqual(found.leftOut, [".git"]);
  assert.equal(found.name, "proj");
  assert.equal(found.totalBytes, 3);
  assert.deepEqual(paths(readInput([new File(["x"], "train.py")])), ["train.py"]);
  assert.deepEqual(paths(readInput([])), []);
});

test("too many files are told, and so is what can't be read", async () => {
  const many = Array.from({ length: 9 }, (_, place) => fileEntry(`${place}`));
  const counts = [];
  const options = { maxFiles: 8, onFound: (count) => counts.push(count) };
  const dropped = drop(folderEntry("p", many));
  await assert.rejects(readDrop(dropped, options), /more than 8 files/);
  assert.deepEqual(counts, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  const locked = { name: "x", isDirectory: false, file: (_, fail) => fail() };
  await assert.rejects(readDrop(drop(folderEntry("p", [locked]))), /“x” can't be read/);
});

test("no file is read for an archive", () => {
  class Unread extends Blob {
    stream() {
      throw new Error("read");
    }
  }
  const archive = tar([{ path: "a", file: new Unread(["x".repeat(1000)]) }]);
  assert.equal(archive.size, 512 + 512 + 1024 + 1024);
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
