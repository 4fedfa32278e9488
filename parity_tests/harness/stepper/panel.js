"use strict";

/** One array as a heatmap: its range, the number under the pointer or the keyboard's cursor, and all as a table. */
class Panel {
  constructor(run, value, {label, link, tables, onPoint}) {
    this.run = run;
    this.value = run.values[value];
    this.numbers = run.array(value);
    this.onPoint = onPoint;
    this.tables = tables;
    this.indices = [];
    this.at = null;    // [row, column] that is pointed at
    this.canvas = make("canvas");
    this.cursor = make("span", {class: "cursor", hidden: true});
    this.map = make("div", {
      class: "map", tabindex: "0", role: "application", "aria-roledescription": "heatmap",
      "aria-label": `${this.value.name}, ${rangeInWords(this.numbers)}. Arrow keys read number by number.`,
      onkeydown: (event) => this._key(event), onpointermove: (event) => this._hover(event),
      onpointerdown: (event) => this._hover(event), onpointerleave: () => this.onPoint(null, this),
      onblur: () => this.onPoint(null, this), onfocus: () => this.onPoint(this.at ?? [0, 0], this),
    }, this.canvas, this.cursor);
    this.legend = this._legend();
    this.reading = make("output", {class: "reading", hidden: true});
    this.table = make("div", {
      class: "box numbers", tabindex: "0", role: "group", "aria-label": `numbers of ${this.value.name}`,
    });
    this.toggle = make("button", {class: "link", onclick: () => this._toggle()}, "numbers",
      make("span", {class: "unseen"}, ` of ${this.value.name} as a table`));
    this.element = make("div", {class: "panel"},
      make("div", {class: "panel-head"}, make("span", {class: "soft"}, label), ...(link ? [" ", link] : [])),
      this.numbers.size ? this.map : make("p", {class: "soft"}, "empty"),
      make("div", {class: "below"}, this.legend, this.reading, this.numbers.size ? this.toggle : ""),
      this.table, run.compared ? verdictOf(this.value, run.reference) : "");
  }

  draw(indices, width) {
    this.indices = indices;
    this.table.hidden = true;
    if (!this.numbers.size) return;
    this.slice = new Slice(this.numbers, indices);
    this.cell = cellSize(this.slice, width);
    drawHeatmap(this.canvas, this.numbers, this.slice, this.cell);
    this._fillTable();
  }

  /** Show the number at [row, column] in full, and mark its cell; null: show the legend again. */
  point(at) {
    this.at = at ?? this.at;
    this.cursor.hidden = this.reading.hidden = !at;
    this.legend.hidden = Boolean(at);
    if (!at) return;
    const [row, column] = at;
    const {width, height} = this.cell;
    Object.assign(this.cursor.style, {
      left: `${column * width}px`, top: `${row * height}px`, width: `${width}px`, height: `${height}px`,
    });
    this.reading.textContent = `${this._place(row, column)} = ${this.numbers.full(this.slice.index(row, column))}`;
  }

  /** "[0, 2, 5]" */
  _place(row, column) {
    const place = [...this.indices, ...this.slice.place(row, column)].slice(-this.numbers.shape.length || Infinity);
    return this.numbers.shape.length ? `[${place.join(", ")}]` : "";
  }

  _hover(event) {
    const box = this.canvas.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left) / box.width * this.slice.columns);
    const row = Math.floor((event.clientY - box.top) / box.height * this.slice.rows);
    const isInside = row >= 0 && row < this.slice.rows && column >= 0 && column < this.slice.columns;
    this.onPoint(isInside ? [row, column] : null, this);
  }

  _key(event) {
    const move = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]}[event.key];
    if (!move || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();    // these keys do not step while a heatmap has the focus
    const [row, column] = this.at ?? [0, 0];
    this.onPoint([Math.min(Math.max(row + move[0], 0), this.slice.rows - 1),
      Math.min(Math.max(column + move[1], 0), this.slice.columns - 1)], this);
  }

  _legend() {
    const {range} = this.numbers;
    if (this.numbers.isText || !this.numbers.size) return make("span");
    if (this.numbers.isBoolean) {
      return make("span", {class: "legend"}, make("i", {class: "swatch true"}), "True ",
        make("i", {class: "swatch false"}), "False");
    }
    const parts = [];
    if (range.scale || range.low === 0) {
      const low = range.isSigned ? -range.scale : 0;
      parts.push(this._written(low), make("i", {class: range.isSigned ? "ramp signed" : "ramp"}),
        this._written(range.scale));
    }
    const outside = [[range.minus, "-∞"], [range.plus, "∞"], [range.nan, "NaN"]].filter(([count]) => count);
    if (outside.length) {
      parts.push(make("span", {class: range.nan ? "bad" : ""},
        `${parts.length ? " and " : ""}${outside.map(([count, name]) => `${count} × ${name}`).join(", ")}`));
    }
    const {steps} = new Slice(this.numbers, []);
    if (Math.max(...steps) > 1) parts.push(` (of every ${steps[0]} × ${steps[1]} the first)`);
    return make("span", {class: "legend"}, ...parts);
  }

  _written(number) {
    return this.numbers.dtype.includes("int") ? String(number) : fourDigits(number);
  }

  /** A table that is open stays open when the name is assigned anew. */
  _toggle() {
    if (!this.tables.delete(this.value.name)) this.tables.add(this.value.name);
    this._fillTable();
  }

  _fillTable() {
    const isOpen = this.tables.has(this.value.name);
    this.toggle.setAttribute("aria-expanded", String(isOpen));
    this.table.hidden = !isOpen;
    this.table.replaceChildren();
    if (!isOpen) return;
    const columns = [...Array(this.slice.columns).keys()];
    const rows = [...Array(this.slice.rows).keys()];
    const head = (scope, number) => make("th", {scope}, String(number));
    const cell = (row, column) => {
      const index = this.slice.index(row, column);
      return make("td", {class: "number", title: this.numbers.full(index)}, this.numbers.short(index));
    };
    this.table.append(make("table", {},
      make("thead", {}, make("tr", {}, make("td"),
        ...columns.map((column) => head("col", this.slice.place(0, column)[1])))),
      make("tbody", {}, ...rows.map((row) => make("tr", {}, head("row", this.slice.place(row, 0)[0]),
        ...columns.map((column) => cell(row, column)))))));
  }
}

/** For those who cannot see the heatmap. */
function rangeInWords(numbers) {
  const size = numbers.shape.length ? numbers.shape.join(" by ") : "one number";
  const {low, high, minus, plus, nan} = numbers.range;
  const parts = [`${size}, ${numbers.dtype}`];
  if (low <= high && !numbers.isBoolean) parts.push(`from ${fourDigits(low)} to ${fourDigits(high)}`);
  if (minus + plus) parts.push(`${minus + plus} infinite`);
  if (nan && !numbers.isText) parts.push(`${nan} not a number`);
  return parts.join(", ");
}

/** How a value compares with the reference, in words. */
function verdictOf(value, reference) {
  if (value.error === null && !value.problem) {
    return make("p", {class: "verdict soft"}, `not compared with ${reference}`);
  }
  const isBad = isWrong(value);
  const parts = [];
  if (value.problem) parts.push(value.problem);
  if (value.error !== null) parts.push(`${twoDigits(value.error)} of ${twoDigits(value.bound)} eps`);
  if (value.difference !== null) parts.push(`max |diff| ${twoDigits(value.difference)}`);
  return make("p", {class: `verdict ${isBad ? "bad" : ""}`, title: `against ${reference}`},
    make("b", {class: isBad ? "bad" : "good"}, isBad ? "✗ wrong" : "✓ ok"), ` ${parts.join(", ")}`);
}
