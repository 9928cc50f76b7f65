/** What the log view says about itself. */

const REFUSALS = {
  "signed-out": "You are signed out. Reload the page to sign in.",
  "no-such-run": "This run no longer exists. Go back to the list of runs.",
};

/**
 * @param {{isFinal: boolean, isActive: boolean, isFollowing: boolean, trouble: string,
 *          connection: {state: string, detail?: string}}} facts
 * @returns {{tone: "live" | "quiet" | "warning", text: string}}
 */
export function statusOf({ isFinal, isActive, isFollowing, trouble, connection }) {
  if (connection.state === "refused") {
    return { tone: "warning", text: REFUSALS[connection.detail] };
  }
  if (trouble) return { tone: "warning", text: trouble };
  if (isFinal) return { tone: "quiet", text: "Complete" };
  if (!isActive) return { tone: "quiet", text: "Loading…" };
  if (connection.state === "waiting") return { tone: "warning", text: "Reconnecting…" };
  if (connection.state === "connecting") return { tone: "quiet", text: "Connecting…" };
  return isFollowing
    ? { tone: "live", text: "Following" }
    : { tone: "quiet", text: "Not following" };
}
