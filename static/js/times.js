/** Spells times and durations; no page is needed to test it. */

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A duration as people say it: "0.8 s", "12 s", "3 m 05 s", "2 h 07 m", "4 d 3 h". */
export function formatDuration(seconds) {
  const all = Math.max(0, seconds);
  if (all < MINUTE) return `${Math.floor(all)} s`;
  const whole = Math.floor(all);
  const two = (number) => String(number).padStart(2, "0");
  if (whole < HOUR) return `${Math.floor(whole / MINUTE)} m ${two(whole % MINUTE)} s`;
  if (whole < DAY) {
    return `${Math.floor(whole / HOUR)} h ${two(Math.floor((whole % HOUR) / MINUTE))} m`;
  }
  return `${Math.floor(whole / DAY)} d ${Math.floor((whole % DAY) / HOUR)} h`;
}

/** A time relative to `now` while it is fresh, else the date in the reader's zone. */
export function formatMoment(time, now) {
  const age = (now - time) / 1000;
  if (age < -5) return formatComing(time, now);
  if (age < 10) return "just now";
  if (age < MINUTE) return `${Math.floor(age)} s ago`;
  if (age < HOUR) return `${Math.floor(age / MINUTE)} min ago`;
  if (age < DAY) return `${Math.floor(age / HOUR)} h ago`;
  const day = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };
  if (time.getFullYear() !== now.getFullYear()) day.year = "numeric";
  return time.toLocaleString(undefined, day);
}

/** "14:05" if it is within half a day, else with the date. */
function formatComing(time, now) {
  const clock = { hour: "2-digit", minute: "2-digit" };
  if ((time - now) / 1000 < DAY / 2) return time.toLocaleTimeString(undefined, clock);
  const day = { weekday: "short", day: "numeric", month: "short", ...clock };
  return time.toLocaleString(undefined, day);
}
