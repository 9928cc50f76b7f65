/** Numbers as people read them. */

const UNITS = ["bytes", "kB", "MB", "GB", "TB"];

/** 199000000 as "199 MB". */
export function formatBytes(bytes) {
  if (bytes === 1) return "1 byte";
  let unit = 0;
  let size = bytes;
  while (size >= 999.5 && unit < UNITS.length - 1) {
    size /= 1000;
    unit += 1;
  }
  const digits = unit && size < 9.95 ? 1 : 0;
  return `${size.toFixed(digits)} ${UNITS[unit]}`;
}

/** 1234567 as "1,234,567". */
export function formatCount(number) {
  return number.toLocaleString("en");
}

/** "1 line", "2,000 lines". */
export function formatPlural(number, noun) {
  return `${formatCount(number)} ${noun}${number === 1 ? "" : "s"}`;
}
