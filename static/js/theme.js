// Sets the theme before the first paint, so that no page flashes in the wrong one.
(function () {
  const chosen = localStorage.getItem("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const theme = localStorage.getItem("theme") || (dark.matches ? "dark" : "light");
    document.documentElement.dataset.bsTheme = theme;
  };
  apply();
  if (!chosen) dark.addEventListener("change", apply);
})();
