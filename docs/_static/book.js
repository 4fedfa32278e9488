// A link into something that is folded opens it; the address bar does the rest.
function unfold() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let around = target; around; around = around.parentElement) {
    if (around.tagName === "DETAILS") around.open = true;
    const tab = around.classList.contains("sd-tab-content") && around.previousElementSibling?.getAttribute("for");
    if (tab) document.getElementById(tab).checked = true;
  }
  target?.scrollIntoView();
}
// MathJax makes each formula a stop of the Tab key, a hundred on a page; what can be opened or followed comes first.
addEventListener("load", () => window.MathJax?.startup?.promise?.then(() => {
  for (const formula of document.querySelectorAll("mjx-container[tabindex]")) formula.removeAttribute("tabindex");
}));
addEventListener("hashchange", unfold);
addEventListener("load", () => location.hash && unfold());
