/** Marks the matches of a search in the pieces of a line. */

const MOST = 1000;

/**
 * Cut spans at the borders of matches; those within one get `match: true`.
 *
 * @param {Span[]} spans
 * @param {string} query
 * @param {boolean} matchCase
 */
export function withMatches(spans, query, matchCase) {
  const text = spans.map((span) => span.text).join("");
  const found = matchesIn(text, query, matchCase);
  if (!found.length) return spans;
  const marked = [];
  let start = 0;
  for (const span of spans) {
    marked.push(...cutSpan(span, start, found));
    start += span.text.length;
  }
  return marked;
}

/** Start and end of each match in `text`. */
export function matchesIn(text, query, matchCase) {
  const [where, what] = matchCase
    ? [text, query]
    : [lowered(text), lowered(query)];
  const found = [];
  if (!what) return found;
  let at = where.indexOf(what);
  while (at >= 0 && found.length < MOST) {
    found.push({ start: at, end: at + what.length });
    at = where.indexOf(what, at + what.length);
  }
  return found;
}

/** In lower case, and as long as before: some letters become two. */
function lowered(text) {
  const lower = text.toLowerCase();
  return lower.length === text.length ? lower : text;
}

function cutSpan(span, start, found) {
  const pieces = [];
  const end = start + span.text.length;
  let at = start;
  const cut = (to, match) => {
    if (to > at) pieces.push({ ...span, text: span.text.slice(at - start, to - start), match });
    at = Math.max(at, to);
  };
  for (const match of found) {
    if (match.end <= start || match.start >= end) continue;
    cut(Math.max(match.start, start), false);
    cut(Math.min(match.end, end), true);
  }
  cut(end, false);
  return pieces.length ? pieces : [span];
}
