/** Keeps the home page true: fetches its moving part anew when a run has a new state. */

import { onWorkspaceNews } from "./workspace-socket.js";

onWorkspaceNews(() => {
  const part = document.getElementById("home-runs");
  window.htmx.ajax("GET", part.dataset.refresh, { target: part, swap: "outerHTML" });
});
