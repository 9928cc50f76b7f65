/**
 * Tar archives of files that the browser holds, made without reading any of them: the
 * archive is a Blob whose parts are headers and the files themselves, which the browser
 * reads from the disk while it sends them.
 */

const BLOCK = 512;

const encoder = new TextEncoder();

/**
 * @param {{path: string, file: Blob}[]} files `path` has at most 100 ASCII characters,
 *   and a file less than 8 GiB, which is all that a plain header can say
 * @returns {Blob}
 */
export function tar(files) {
  const parts = files.flatMap(({ path, file }) => [
    header(path, file.size),
    file,
    new Uint8Array((BLOCK - (file.size % BLOCK)) % BLOCK),
  ]);
  // Two empty blocks are the end of an archive.
  return new Blob([...parts, new Uint8Array(2 * BLOCK)], { type: "application/x-tar" });
}

function header(path, size) {
  const bytes = new Uint8Array(BLOCK);
  const put = (text, offset) => bytes.set(encoder.encode(text), offset);
  put(path, 0);
  put(`0000644\0${"0000000\0".repeat(2)}`, 100);
  put(octal(size), 124);
  put(octal(0), 136);
  put("        ", 148);
  put("0", 156);
  put("ustar\x0000", 257);
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  put(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return bytes;
}

function octal(number) {
  return number.toString(8).padStart(11, "0");
}
