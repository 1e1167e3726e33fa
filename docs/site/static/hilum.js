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
// A heading for screen readers needs a level, which Sphinx does not give to the captions of its contents.
for (const caption of document.querySelectorAll("p.caption[role=heading]")) caption.setAttribute("aria-level", "2");
// The arguments of a long signature are a list of definitions without terms: a plain list.
for (const list of document.querySelectorAll("dt.sig dl")) {
  list.setAttribute("role", "list");
  for (const item of list.children) item.setAttribute("role", "listitem");
}
