"use strict";
(() => {
  const button = document.getElementById("theme"), root = document.documentElement;
  const themes = ["system", "light", "dark"];
  let at = 0;
  button.hidden = false;
  button.addEventListener("click", () => {
    at = (at + 1) % themes.length;
    if (at) root.dataset.theme = themes[at]; else delete root.dataset.theme;
    button.textContent = "Theme: " + themes[at];
  });
})();
