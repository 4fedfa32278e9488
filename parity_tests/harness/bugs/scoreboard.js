"use strict";

const bugs = [...document.querySelectorAll(".bug")];
const find = document.getElementById("find");
const file = document.getElementById("file");
const open = document.getElementById("open");

/** Show the bugs whose text has each of the words, in the chosen file. */
function filter() {
  const words = find.value.toLowerCase().split(/\s+/);
  let count = 0;
  for (const bug of bugs) {
    const text = bug.textContent.toLowerCase();
    bug.hidden = (file.value && bug.dataset.path !== file.value) || !words.every((word) => text.includes(word));
    count += bug.hidden ? 0 : 1;
  }
  document.getElementById("count").textContent = count === 1 ? "1 bug" : `${count} bugs`;
}

/** Open all bugs, or close them, in turn. */
function toggle() {
  const opening = open.textContent === "Open all";
  bugs.forEach((bug) => { bug.open = opening; });
  open.textContent = opening ? "Close all" : "Open all";
}

/** Open the bug that the address names. */
function openNamed() {
  const bug = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (bug && bug.matches(".bug")) {
    bug.open = true;
    bug.scrollIntoView();
  }
}

find.addEventListener("input", filter);
file.addEventListener("change", filter);
open.addEventListener("click", toggle);
addEventListener("hashchange", openNamed);
openNamed();
