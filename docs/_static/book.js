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
// The first stop of the Tab key leads past the contents, and on a telephone the button of the contents is one too.
const SKIP = "Skip to the text";
addEventListener("DOMContentLoaded", () => {
  const text = document.querySelector("[itemprop=articleBody]"), menu = document.querySelector(".wy-nav-top .fa-bars");
  if (text) {
    text.tabIndex = -1;
    const link = Object.assign(document.createElement("a"), { className: "skip", href: "#", textContent: SKIP });
    link.addEventListener("click", event => { event.preventDefault(); text.focus(); });
    document.body.prepend(link);
  }
  if (menu) {
    Object.assign(menu, { tabIndex: 0, role: "button", ariaLabel: menu.parentElement.ariaLabel });
    menu.addEventListener("keydown", ({ key }) => key === "Enter" && menu.click());
  }
});
// MathJax makes each formula a stop of the Tab key, a hundred on a page; what can be opened or followed comes first.
addEventListener("load", () => window.MathJax?.startup?.promise?.then(() => {
  for (const formula of document.querySelectorAll("mjx-container[tabindex]")) formula.removeAttribute("tabindex");
}));
// To copy takes the focus from the button, and the Tab key would begin at the top of the page again.
addEventListener("click", ({ target }) => target.closest?.(".copybtn")?.focus({ preventScroll: true }));
addEventListener("hashchange", unfold);
addEventListener("load", () => location.hash && unfold());
