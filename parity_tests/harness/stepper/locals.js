"use strict";

const MOST_CHOICES = 40;    // in a list; of more one types the number
const AT_ONCE = 6;    // cards that are in sight; further down they may be drawn a moment later

/** The locals of a call as they stand at a step, what has been assigned last first. */
class Locals {
  constructor(run, {onGo}) {
    this.run = run;
    this.onGo = onGo;
    this.list = document.getElementById("locals");
    this.heading = document.getElementById("locals-of");
    this.notes = document.getElementById("notes");
    this.picks = new Map();      // "axis:length" -> chosen index, for all arrays alike
    this.tables = new Set();     // names whose numbers are shown as a table
    this.cards = new Map();      // value -> Card; those that are shown, and the ones of the step before
  }

  show(call, step) {
    const values = this.run.localsAt(call, step);
    const cards = new Map();
    for (const value of values) {
      cards.set(value, this.cards.get(value) ?? new Card(this, value));
    }
    for (const [value, card] of this.cards) if (!cards.has(value)) card.element.remove();
    this.cards = cards;
    const inOrder = [...cards.values()];
    // Elements are moved only where the order has changed, so that the focus stays where it is.
    inOrder.forEach((card, place) => {
      const there = this.list.children[place];
      if (there !== card.element) this.list.insertBefore(card.element, there ?? null);
    });
    const width = this._panelWidth();
    for (const card of inOrder) card.mark(card.value.time === step ? this._change(step, card.value) : "");
    for (const card of inOrder.slice(0, AT_ONCE)) card.draw(width);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => { for (const card of inOrder.slice(AT_ONCE)) card.draw(width); });
    this._showHeading(call, values.length);
    this._showNotes(call, step);
  }

  /** Draw everything anew: the theme or the width has changed. */
  redraw() {
    const width = this._panelWidth();
    for (const card of this.cards.values()) {
      card.drawn = null;
      card.draw(width);
    }
  }

  pick(axis, length, index) {
    this.picks.set(`${axis}:${length}`, index);
    const width = this._panelWidth();
    for (const card of this.cards.values()) card.draw(width);
  }

  picked(axis, length) {
    return this.picks.get(`${axis}:${length}`) ?? 0;
  }

  /** Bring a value's card into sight and give it the focus. */
  reveal(value) {
    const card = this.cards.get(value);
    if (!card) return;
    card.element.focus({preventScroll: true});
    card.element.scrollIntoView({block: "nearest"});
  }

  /** The value whose card has the focus, else the first that has a partner. */
  get current() {
    const focused = [...this.cards].find(([, card]) => card.element.contains(document.activeElement));
    const found = focused ?? [...this.cards].find(([value]) => this.run.partner(value) !== null);
    return found ? found[0] : null;
  }

  _change(step, value) {
    const {kind} = this.run.steps[step];
    if (kind === CALL) return "argument";
    if (kind === RETURN) return "returned";
    return value.number ? "assigned anew" : "new";
  }

  /** All panels are as wide, up to a few pixels. */
  _panelWidth() {
    const [panel] = this.list.getElementsByClassName("panel");
    return panel ? panel.clientWidth - 8 : 0;
  }

  _showHeading(call, count) {
    this.heading.replaceChildren("Locals of ", make("code", {}, this.run.nameOf(call)));
    if (!count) this.heading.append(make("span", {class: "soft"}, ": no array yet"));
  }

  _showNotes(call, step) {
    const notes = this.run.notesAt(call, step);
    this.notes.hidden = !notes.length;
    this.notes.replaceChildren(...notes.map(([name, text]) =>
      make("div", {}, make("dt", {}, make("code", {}, name)), make("dd", {}, make("code", {}, text)))));
  }
}

/** One local: its value, beside it its gradient, or what it is the gradient of. */
class Card {
  constructor(locals, index) {
    const {run} = locals;
    this.locals = locals;
    this.value = run.values[index];
    this.numbers = run.array(index);
    this.drawn = null;    // what was drawn last, to draw only what has changed
    const partner = run.partner(index);
    const isGradient = this.value.of !== null;
    const kept = isGradient ? null : run.keptFrom(index);
    this.panels = [this._panel(index, isGradient ? "gradient" : kept === null ? "value" : "value of", kept)];
    if (partner !== null) this.panels.push(this._panel(partner, isGradient ? "gradient of" : "gradient", partner));
    this.tag = make("span", {class: "tag", hidden: true});
    this.pickers = this._pickers();
    this.element = make("article", {
      class: partner === null ? "card single" : "card", tabindex: "-1", "data-name": this.value.name,
      "data-value": String(index), "aria-label": `${this.value.name}, ${this.numbers.shapeText} ${this.numbers.dtype}`,
    },
    make("header", {},
      make("h3", {}, make("code", {class: "name"}, this.value.name)),
      make("span", {class: "soft code shape"}, `${this.numbers.shapeText} ${this.numbers.dtype}`),
      ...(this.pickers.length ? [make("span", {class: "pickers code"}, "[", ...this._picking(), "]")] : []),
      this.tag),
    make("div", {class: "panels"}, ...this.panels.map((panel) => panel.element)));
  }

  /** Say that this step has assigned it; an empty text if it has not. */
  mark(text) {
    this.tag.hidden = !text;
    this.tag.textContent = text;
    this.element.classList.toggle("changed", Boolean(text));
  }

  draw(width) {
    const indices = this.panels.map(({numbers}) =>
      numbers.shape.slice(0, -2).map((length, axis) => this.locals.picked(axis, length)));
    const drawn = `${indices.join()} ${width}`;
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    this.pickers.forEach((picker, axis) => { picker.value = String(indices[0][axis]); });
    this.panels.forEach((panel, place) => panel.draw(indices[place], width));
  }

  /** index: whose numbers are shown. other: the value that its heading leads to, or null. */
  _panel(index, label, other) {
    const {run, onGo, tables} = this.locals;
    const link = other === null ? null : make("button", {
      class: "link", "data-go": String(other), onclick: () => onGo(other), title: `in ${run.placeOf(other)}`,
    }, make("code", {}, run.values[other].name), ` at step ${run.values[other].time}`);
    return new Panel(run, index, {label, link, tables, onPoint: (at, panel) => this._point(at, panel)});
  }

  /** Both panels show the same place, where they have the same shape. */
  _point(at, pointed) {
    for (const panel of this.panels) {
      if (String(panel.numbers.shape) === String(pointed.numbers.shape)) panel.point(at);
    }
  }

  /** A choice for each axis before the two last. */
  _pickers() {
    if (!this.numbers.size) return [];
    return this.numbers.shape.slice(0, -2).map((length, axis) => {
      const attributes = {
        "aria-label": `${this.value.name}: index on axis ${axis}, of ${length}`,
        onchange: ({target}) => {
          const index = Math.trunc(target.value) || 0;
          this.locals.pick(axis, length, Math.min(Math.max(index, 0), length - 1));
        },
      };
      if (length > MOST_CHOICES) {
        return make("input", {type: "number", min: "0", max: String(length - 1), ...attributes});
      }
      return make("select", attributes,
        ...[...Array(length).keys()].map((index) => make("option", {value: String(index)}, String(index))));
    });
  }

  _picking() {
    return [...this.pickers.flatMap((picker) => [picker, ", "]), ":, :"];
  }
}
