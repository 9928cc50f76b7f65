const ROOT = "http://files.invalid/";

/**
 * The file that a link or picture in the file `name` means, from the top of all files;
 * null if it leads anywhere else.
 *
 * @param {string} reference "plots/loss.png", "../README.md", "https://…"
 * @param {string} name "outputs/report.md"
 * @returns {string | null}
 */
export function pathOf(reference, name) {
  if (!reference || reference.startsWith("#")) return null;
  try {
    const base = new URL(ROOT + name.split("/").map(encodeURIComponent).join("/"));
    const found = new URL(reference, base);
    if (found.origin !== base.origin) return null;
    return decodeURIComponent(found.pathname.slice(1)) || null;
  } catch {
    // An address, or the name of a file, that has bytes which are no text.
    return null;
  }
}
