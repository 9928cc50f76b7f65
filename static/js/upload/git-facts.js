/**
 * What the `.git` of a dropped folder says: repository, branch and commit. Whether the
 * files are as in the commit can't be told here.
 */

const LARGEST = 1024 * 1024;
// Some repositories have references by the hundred thousand.
const LARGEST_REFERENCES = 64 * LARGEST;
const COMMIT = /^([0-9a-f]{40}|[0-9a-f]{64})$/;

/**
 * @typedef {{repository: string, branch: string, commit: string}} GitFacts
 *
 * @param {import("./folder.js").Node | null} git the folder `.git`
 * @returns {Promise<GitFacts | null>} null without one; what can't be read is ""
 */
export async function readGitFacts(git) {
  if (!git) return null;
  const head = (await textAt(git, "HEAD")).trim();
  const named = head.match(/^ref:\s*(refs\/.+)$/)?.[1] ?? "";
  // No part of a name begins with a dot: it stands in for names that are kept elsewhere.
  const reference = named.includes("/.") ? "" : named;
  const branch = reference.match(/^refs\/heads\/(.+)$/)?.[1] ?? "";
  const commit = reference ? await commitOf(git, reference) : head;
  const repository = remoteOf(await textAt(git, "config"), branch);
  return { repository, branch, commit: COMMIT.test(commit) ? commit : "" };
}

async function commitOf(git, reference) {
  const loose = (await textAt(git, reference)).trim();
  if (loose) return loose;
  const packed = await textAt(git, "packed-refs", LARGEST_REFERENCES);
  const line = packed.split("\n").find((each) => each.endsWith(` ${reference}`));
  return line?.split(" ")[0] ?? "";
}

/** The address of the branch's remote, or of "origin", or of the only one. */
function remoteOf(config, branch) {
  const urls = new Map();
  let section = "";
  let named = "";
  for (const line of config.split("\n")) {
    section = line.match(/^\s*\[(.+)\]\s*$/)?.[1] ?? section;
    const [, key, value] = line.match(/^\s*(\w+)\s*=\s*(.*?)\s*$/) ?? [];
    const remote = section.match(/^remote "(.+)"$/)?.[1];
    if (remote && key === "url" && !urls.has(remote)) urls.set(remote, value);
    if (section === `branch "${branch}"` && key === "remote") named = value;
  }
  return urls.get(named) ?? urls.get("origin") ?? [...urls.values()][0] ?? "";
}

/** The text of a file below `folder`; "" if it is not there, or too large. */
async function textAt(folder, path, largest = LARGEST) {
  let node = folder;
  try {
    for (const name of path.split("/")) {
      const inside = (await node?.list?.()) ?? [];
      node = inside.find((each) => each.name === name);
    }
    const file = await node?.file?.();
    return file && file.size <= largest ? await file.text() : "";
  } catch {
    return "";
  }
}
