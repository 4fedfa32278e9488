"use strict";

const SHOWN_AT_FIRST = 300;    // rows of a table; a button shows the rest
const found = document.getElementById("found");
const find = document.getElementById("find");
const onlyFailing = document.getElementById("only-failing");
let cases = [];                // as examined: {id, name, verdicts, tensors: [{case, path, function, ...}]}
let tensors = [];              // of all cases

/** A number of the report as one to sort by: "nan" and "inf" are the largest, what is missing is the smallest. */
function sortable(value) {
  if (value === null || value === undefined) return -1;
  return typeof value === "string" ? Infinity : value;
}

function shown(value) {
  if (value === null || value === undefined) return "";
  return typeof value === "number" && value >= 1e5 ? value.toExponential(1).replace("e+", "e") : String(value);
}

/** Columns of tables: label; text(row); key(row), to sort by; isNumber; cell(row), if it is more than text. */
const text = (label, value) => ({label, text: value, key: value});
const number = (label, name) => ({label, isNumber: true, text: (row) => shown(row[name]), key: (row) => sortable(row[name])});
const verdict = {
  label: "verdict",
  text: (row) => row.problem ? `✕ ${row.problem}` : row.status === "not run" ? "–" : "✓",
  key: (row) => row.problem ? `0 ${row.problem}` : "1",
};
const ofTensors = [
  text("tensor", (row) => row.tensor + (row.assignment ? ` #${row.assignment}` : "")),
  text("kind", (row) => row.kind),
  text("function", (row) => row.function + (row.call ? ` [${row.call}]` : "")),
  text("shape", (row) => row.shape),
  number("float64 plain", "plain"),
  number("float64 lean", "lean"),
  number("float64 bound", "bound float64"),
  number("float32 plain", "plain float32"),
  number("float32 lean", "lean float32"),
  number("float32 torch", "torch float32"),
  number("float32 bound", "bound float32"),
  verdict,
  text("path", (row) => row.path),
];
const ofFound = [
  ofTensors[0],
  {...text("case", (row) => row.case.name), cell: (row) => make("a", {href: `#${row.case.id}`}, row.case.name)},
  ...ofTensors.slice(1),
];
const ofVerdicts = [
  text("oracle", (row) => row.oracle),
  text("form", (row) => row.form),
  text("by", (row) => row.what),
  number("compared", "compared"),
  number("error in eps", "error"),
  number("bound", "bound"),
  {...verdict, text: (row) => row.status === "not run" ? `– ${row.problem}` : row.status === "failed" ? `✕ ${row.problem}` : "✓"},
  text("worst", (row) => shown(row.tensor)),
];

function kindOf(column) {
  return column.isNumber ? "number" : null;
}

/** A table that its headings sort. rows: objects. label: what it shows, in words. */
function table(columns, rows, label) {
  let order = [...rows];
  let limit = SHOWN_AT_FIRST;
  const body = make("tbody");
  const more = make("button", {type: "button", onclick: () => { limit = Infinity; fill(); }});
  const heads = columns.map((column, place) => make(
    "th", {scope: "col", "aria-sort": "none", class: place ? kindOf(column) : "first"},
    make("button", {type: "button", class: "sort", onclick: () => sort(place)}, column.label)));

  function sort(place) {
    const {key, isNumber} = columns[place];
    const before = heads[place].getAttribute("aria-sort");
    // The largest errors first; names from A to Z.
    const ascending = before === "none" ? !isNumber : before === "descending";
    heads.forEach((head) => head.setAttribute("aria-sort", "none"));
    heads[place].setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const sign = ascending ? 1 : -1;
    order = rows.map((row) => [key(row), row])
      .sort(([a], [b]) => sign * (a < b ? -1 : a > b ? 1 : 0)).map(([, row]) => row);
    fill();
  }

  function fill() {
    body.replaceChildren(...order.slice(0, limit).map((row) => make(
      "tr", {class: row.problem && row.status !== "not run" ? "fails-row" : null},
      ...columns.map((column, place) => make(
        place ? "td" : "th", {scope: place ? null : "row", class: place ? kindOf(column) : "first"},
        column.cell ? column.cell(row) : column.text(row))))));
    more.hidden = order.length <= limit;
    more.textContent = `show all ${order.length} rows`;
  }

  fill();
  const region = make("div", {class: "box", tabindex: 0, role: "region", "aria-label": label},
    make("table", {}, make("thead", {}, make("tr", {}, ...heads)), body));
  return make("div", {}, region, more);
}

/** Fill the section of a case when it is opened for the first time. */
function fillCase(section, entry) {
  if (section.dataset.filled) return;
  section.dataset.filled = "yes";
  section.append(
    make("h4", {}, "Oracles"), table(ofVerdicts, entry.verdicts, `Oracles of ${entry.name}`),
    make("h4", {}, "Tensors, errors in eps"), table(ofTensors, entry.tensors, `Tensors of ${entry.name}`));
}

/** Show the tensors whose names hold all of the words. */
function search() {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length && !onlyFailing.checked) {
    found.replaceChildren();
    return;
  }
  const rows = tensors.filter((row) => (!onlyFailing.checked || row.problem) && words.every((word) => row.words.includes(word)));
  const count = make("p", {}, rows.length === 1 ? "1 tensor" : `${rows.length} tensors`);
  found.replaceChildren(count, ...(rows.length ? [table(ofFound, rows, "Tensors that were found")] : []));
}

/** Open the section that the address names. */
function openNamed() {
  const section = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (section && section.matches(".case")) {
    section.open = true;
    section.scrollIntoView();
  }
}

function start(data) {
  cases = data.cases;
  for (const entry of cases) {
    entry.tensors = entry.tensors.map((line) => {
      const row = {case: entry};
      data.columns.forEach((name, place) => { row[name] = line[place]; });
      row.words = `${row.tensor} ${row.kind} ${row.function} ${row.path} ${entry.name}`.toLowerCase();
      return row;
    });
    const section = document.getElementById(entry.id);
    section.addEventListener("toggle", () => section.open && fillCase(section, entry));
    if (section.open) fillCase(section, entry);
  }
  tensors = cases.flatMap((entry) => entry.tensors);
  let waiting;
  find.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(search, 120); });
  onlyFailing.addEventListener("change", search);
  addEventListener("hashchange", openNamed);
  addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.target.matches("input") && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      find.focus();
    } else if (event.key === "Escape" && event.target === find) {
      find.value = "";
      search();
    }
  });
  document.body.dataset.ready = "yes";
  search();
  openNamed();
}

unpackData().then(start);
