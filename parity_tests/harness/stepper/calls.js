"use strict";

/** All calls of the run as a tree, from the model to the primitive. What leads to the current call is unfolded. */
class Calls {
  constructor(run, {onStep}) {
    this.run = run;
    this.onStep = onStep;
    this.list = document.getElementById("tree");
    this.chosen = new Map();    // call -> unfolded or not, where the reader has chosen
    this.path = [];
  }

  show(step) {
    const {call} = this.run.steps[step];
    const path = this.run.stack(call);
    if (String(path) === String(this.path)) return;
    this.path = path;
    this._render();
    const current = this.list.querySelector("[aria-current]");
    const box = this.list.parentElement;
    if (current && box.clientHeight) {
      const top = current.getBoundingClientRect().top - box.getBoundingClientRect().top;
      if (top < 0 || top > box.clientHeight - 30) box.scrollTop += top - box.clientHeight / 2;
    }
  }

  _render() {
    const focused = document.activeElement?.dataset?.key;
    this.list.replaceChildren(...this.run.roots.map((call) => this._node(call)));
    if (focused) this.list.querySelector(`[data-key="${focused}"]`)?.focus();
  }

  _isOpen(call) {
    return this.chosen.get(call) ?? this.path.slice(0, -1).includes(call);
  }

  /** The path of a call's module below that of its caller's. */
  _pathWithin(index) {
    const {path, parent} = this.run.calls[index];
    const outer = parent === null ? "" : this.run.calls[parent].path;
    if (path === outer) return "";
    return path.startsWith(`${outer}.`) ? path.slice(outer.length + 1) : path;
  }

  _node(index) {
    const call = this.run.calls[index];
    const isOpen = this._isOpen(index);
    const name = this.run.nameOf(index);
    const fold = call.children.length ? make("button", {
      class: "fold", "aria-expanded": String(isOpen), "aria-label": `calls inside ${name}`, "data-key": `fold ${index}`,
      onclick: () => { this.chosen.set(index, !isOpen); this._render(); },
    }, isOpen ? "▾" : "▸") : make("span", {class: "fold"});
    const node = make("li", {}, fold, make("button", {
      class: `call ${this.run.backward[index] ? "backward" : "forward"}`, "data-key": `call ${index}`,
      "aria-current": index === this.path.at(-1) ? "true" : null, onclick: () => this.onStep(call.first),
    }, make("code", {}, name), make("span", {class: "soft"}, ` ${this._pathWithin(index)}`),
    call.wrong ? make("span", {class: "bad"}, ` ✗ ${call.wrong} wrong`) : ""));
    if (isOpen && call.children.length) {
      node.append(make("ul", {}, ...call.children.map((child) => this._node(child))));
    }
    return node;
  }
}
