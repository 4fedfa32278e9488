"use strict";

const INSET = 9;      // half the thumb of the slider: there its ends are

/** The whole run on one line: which calls run when, forward and backward; and the slider over all steps. */
class Timeline {
  constructor(run, {onStep}) {
    this.run = run;
    this.onStep = onStep;
    this.canvas = document.getElementById("flame");
    this.slider = document.getElementById("scrub");
    this.marker = document.getElementById("here");
    this.halves = document.getElementById("halves");
    this.slider.max = String(run.last);
    let isWaiting = false;
    this.slider.addEventListener("input", () => {    // one step for each picture, however fast the pointer is
      if (isWaiting) return;
      isWaiting = true;
      requestAnimationFrame(() => { isWaiting = false; onStep(Number(this.slider.value)); });
    });
    this.canvas.addEventListener("pointerdown", (event) => onStep(this._stepAt(event)));
    this.canvas.addEventListener("pointermove", (event) => {
      const call = this._callAt(event);
      this.canvas.title = call === null ? "" : [run.nameOf(call), run.calls[call].path].filter(Boolean).join(", ");
    });
    const turn = run.turn === null ? 1 : run.turn / Math.max(run.last, 1);
    this.slider.style.setProperty("--turn", `${100 * turn}%`);
    this.halves.style.setProperty("--turn", `${100 * turn}%`);
    this.halves.classList.toggle("forward-only", run.turn === null);
  }

  show(step) {
    const {run} = this;
    this.slider.value = String(step);
    const {call, line} = run.steps[step];
    this.slider.setAttribute("aria-valuetext",
      `step ${step} of ${run.last}, ${run.backward[call] ? "backward" : "forward"}, ${run.nameOf(call)}, line ${line}`);
    this.marker.style.left = `${this._x(step)}px`;
    if (call !== this.call) {
      this.call = call;
      this.draw();
    }
  }

  draw() {
    const {run, canvas} = this;
    const row = this.row = canvas.clientWidth < 600 ? 6 : 9;    // pixels for each depth of calls
    const sharp = window.devicePixelRatio || 1;
    canvas.style.height = `${run.depth * row + 4}px`;
    canvas.width = canvas.clientWidth * sharp;
    canvas.height = (run.depth * row + 4) * sharp;
    const context = canvas.getContext("2d");
    context.scale(sharp, sharp);
    const paper = colour("paper");
    const shades = {true: colour("backward"), false: colour("forward")};
    const active = new Set(run.stack(this.call));
    const twin = run.calls[this.call].reverses ?? run.calls[this.call].reversedBy;
    run.calls.forEach((call, index) => {
      const left = this._x(call.first);
      const width = Math.max(this._x(call.last + 1) - left, 0.6);
      const shade = shades[run.backward[index]];
      const strength = active.has(index) ? 1 : 0.28 + 0.3 * (call.depth / run.depth);
      context.fillStyle = rgb(between([paper, shade], strength));
      context.fillRect(left, call.depth * row, width - (width > 3 ? 0.5 : 0), row - 1);
      if (index === twin) {
        context.strokeStyle = rgb(colour("ink"));
        context.lineWidth = 1.5;
        context.strokeRect(left - 1, call.depth * row - 0.5, Math.max(width, 3) + 2, row);
      }
    });
    context.fillStyle = rgb(colour("bad"));
    for (const value of run.wrong) context.fillRect(this._x(run.values[value].time) - 1, run.depth * row, 2.5, 4);
  }

  _x(step) {
    return INSET + (this.canvas.clientWidth - 2 * INSET) * step / Math.max(this.run.last, 1);
  }

  _stepAt(event) {
    const box = this.canvas.getBoundingClientRect();
    const part = (event.clientX - box.left - INSET) / (box.width - 2 * INSET);
    return Math.round(Math.min(Math.max(part, 0), 1) * this.run.last);
  }

  /** The call under the pointer, or the innermost one above it. */
  _callAt(event) {
    const box = this.canvas.getBoundingClientRect();
    const depth = Math.floor((event.clientY - box.top) / this.row);
    const stack = this.run.stack(this.run.steps[this._stepAt(event)].call);
    return stack[Math.min(depth, stack.length - 1)] ?? null;
  }
}
