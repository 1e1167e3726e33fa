// What scrolls sideways is reached by the keyboard too.
function reachable() {
  for (const box of document.querySelectorAll(".table-wrapper, pre, .content .sig")) {
    if (box.scrollWidth > box.clientWidth) {
      box.tabIndex = 0;
      box.setAttribute("role", "region");
      box.setAttribute("aria-label", box.tagName === "PRE" ? "Code" : "Table");
    }
  }
}
addEventListener("load", reachable);
addEventListener("resize", reachable);
