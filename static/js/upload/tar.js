/**
 * Tar archives of files that the browser holds, made without reading any of them: the
 * archive is a Blob whose parts are headers and the files themselves, which the browser
 * reads from the disk while it sends them.
 */

const BLOCK = 512;
/** What the eleven octal digits of a header can say. */
const MOST_IN_HEADER = 8 ** 11 - 1;
const LONGEST_NAME = 100;

const encoder = new TextEncoder();

/**
 * @param {{path: string, file: Blob}[]} files `path` has "/" between its parts
 * @returns {Blob}
 */
export function tar(files) {
  const parts = files.flatMap(({ path, file }) => member(path, file));
  // Two empty blocks are the end of an archive.
  return new Blob([top(), ...parts, new Uint8Array(2 * BLOCK)], {
    type: "application/x-tar",
  });
}

/** Says where the top is, so that an only folder in it is not taken for the top. */
function top() {
  const name = encoder.encode("./");
  return block({ name, size: 0, seconds: 0, type: "5", mode: "0000755" });
}

function member(path, file) {
  return [...extension(path, file.size), header(path, file), file, padding(file.size)];
}

/** What a plain header can't hold is said by a member of its own before the file. */
function extension(path, size) {
  const records = [];
  if (!fits(path)) records.push(record("path", path));
  if (size > MOST_IN_HEADER) records.push(record("size", String(size)));
  if (records.length === 0) return [];
  const content = new Blob(records);
  return [
    block({ name: encoder.encode("pax"), size: content.size, seconds: 0, type: "x" }),
    content,
    padding(content.size),
  ];
}

function fits(path) {
  // One byte a character where all are ASCII, so this is the length in bytes too.
  return path.length <= LONGEST_NAME && /^[\x20-\x7e]*$/.test(path);
}

/** "LENGTH KEY=VALUE\n", where the length counts its own digits. */
function record(key, value) {
  const rest = encoder.encode(` ${key}=${value}\n`);
  let length = rest.length + 1;
  while (length !== rest.length + String(length).length) {
    length = rest.length + String(length).length;
  }
  return new Blob([String(length), rest]);
}

function header(path, file) {
  // Where the name is too long or not ASCII, the extension before has the real one.
  const name = encoder.encode(path).slice(0, LONGEST_NAME);
  const size = Math.min(file.size, MOST_IN_HEADER);
  const seconds = Math.max(0, Math.floor((file.lastModified ?? 0) / 1000));
  return block({ name, size, seconds: Math.min(seconds, MOST_IN_HEADER), type: "0" });
}

// A browser can't tell whether a file is executable, nor whose it is.
function block({ name, size, seconds, type, mode = "0000644" }) {
  const bytes = new Uint8Array(BLOCK);
  const put = (text, offset) => bytes.set(encoder.encode(text), offset);
  bytes.set(name, 0);
  put(`${mode}\0${"0000000\0".repeat(2)}`, 100);
  put(octal(size, 11), 124);
  put(octal(seconds, 11), 136);
  put("        ", 148);
  put(type, 156);
  put("ustar\x0000", 257);
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  put(`${octal(sum, 6)}\0 `, 148);
  return bytes;
}

function octal(number, digits) {
  return number.toString(8).padStart(digits, "0");
}

function padding(size) {
  return new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK);
}
