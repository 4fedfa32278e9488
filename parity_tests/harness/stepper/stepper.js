"use strict";

const KEYS = {
  ArrowRight: "next", n: "next", ArrowLeft: "previous", p: "previous", o: "over", u: "out", c: "tensor", w: "wrong",
  g: "partner", l: "level", Home: "home", End: "end", "/": "find", t: "theme", "?": "help",
};
const HASH_DELAY = 200;    // milliseconds: browsers allow only so many changes of the address
const SAID_DELAY = 120;

/** The page: one step at a time, and everything that leads to another one. */
class Stepper {
  constructor(run) {
    this.run = run;
    this.step = 0;
    this.frame = null;    // the call that is shown, where it is not the running one
    const onJump = (step) => this.go(step, {remember: true});
    const onGo = (value) => this.goToValue(value);
    this.source = new Source(run, {onStep: onJump, onFrame: (call) => this.showFrame(call)});
    this.locals = new Locals(run, {onGo});
    this.calls = new Calls(run, {onStep: onJump});
    this.timeline = new Timeline(run, {onStep: (step) => this.go(step)});
    this.find = new Find(run, {onGo});
    this.theme = new Theme(() => this.restyle());
    this.level = document.getElementById("level");
    this.actions = this._actions();
    this._listen();
    makePalette();
    document.querySelector(".calls").open = isWide();
    this._showSummary();
    this.go(stepInAddress() ?? 0);
  }

  _actions() {
    const {run} = this;
    return {
      next: () => this.go(this.level.checked ? run.over(this.step, 1) : this.step + 1),
      previous: () => this.go(this.level.checked ? run.over(this.step, -1) : this.step - 1),
      over: () => this.go(run.over(this.step, 1)),
      out: () => this.go(run.out(this.step)),
      tensor: () => this.go(run.tensor(this.step, this.level.checked ? run.depthAt(this.step) : Infinity)),
      wrong: () => this.go(run.nextWrong(this.step), {remember: true}),
      partner: () => {
        const current = this.locals.current;
        const partner = current === null ? null : run.partner(current);
        if (partner !== null) this.goToValue(partner);
      },
      level: () => { this.level.checked = !this.level.checked; },
      home: () => this.go(0),
      end: () => this.go(run.last),
      find: () => document.getElementById("find").focus(),
      theme: () => this.theme.choose(!this.theme.isDark),
      help: () => document.getElementById("help").showModal(),
    };
  }

  _listen() {
    for (const button of document.querySelectorAll("[data-action]")) {
      button.addEventListener("click", () => this.actions[button.dataset.action]());
    }
    document.addEventListener("keydown", (event) => this._key(event));
    window.addEventListener("hashchange", () => {
      const step = stepInAddress();
      if (step !== null && step !== this.step) this.go(step);
    });
    let width = window.innerWidth;
    window.addEventListener("resize", () => {    // on phones the height changes as one scrolls
      if (window.innerWidth === width) return;
      width = window.innerWidth;
      this.restyle();
    });
  }

  _key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || document.getElementById("help").open) return;
    if (event.target.matches("select, textarea, input:not([type=checkbox]):not([type=range])")) return;
    const action = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    this.actions[action]();
  }

  /** Go to a step; null stays. remember: the browser's Back leads here again. */
  go(step, {remember = false} = {}) {
    if (step === null) return;
    const before = this.step;
    this.step = Math.min(Math.max(step, 0), this.run.last);
    this.frame = null;
    this.render();
    this._address(before, remember);
    this._say();
  }

  goToValue(value) {
    this.go(this.run.values[value].time, {remember: true});
    this.locals.reveal(value);
  }

  showFrame(call) {
    this.frame = call;
    this.render();
    this.source.stackList.querySelector("[aria-current]").focus();
  }

  render() {
    const {run, step} = this;
    const call = this.frame ?? run.steps[step].call;
    const isBackward = run.backward[run.steps[step].call];
    document.body.dataset.phase = isBackward ? "backward" : "forward";
    document.getElementById("phase").textContent = isBackward ? "← backward" : "forward →";
    document.getElementById("place").textContent = `step ${step} of ${run.last}`;
    document.getElementById("turn").hidden = step !== run.turn;
    document.getElementById("stopped").hidden = run.stopped === null || step !== run.last;
    this.source.show(call, step);
    this.locals.show(call, step);
    this.timeline.show(step);
    this.calls.show(step);
    for (const [action, isPossible] of [["next", step < run.last], ["previous", step > 0], ["home", step > 0],
      ["end", step < run.last], ["out", run.out(step) !== null]]) {
      document.querySelector(`[data-action=${action}]`)?.setAttribute("aria-disabled", String(!isPossible));
    }
  }

  restyle() {
    makePalette();
    document.querySelector("[data-action=theme]").setAttribute("aria-pressed", String(this.theme.isDark));
    this.timeline.draw();
    this.locals.redraw();
    this.timeline.show(this.step);
  }

  /** Keep the step in the address, so that a link to it can be passed on. */
  _address(before, remember) {
    if (location.protocol === "about:") return;    // a notebook's frame has no address
    clearTimeout(this.addressTimer);
    const put = () => history.replaceState(null, "", `#s=${this.step}`);
    if (remember && before !== this.step) {
      history.replaceState(null, "", `#s=${before}`);
      history.pushState(null, "", `#s=${this.step}`);
    } else {
      this.addressTimer = setTimeout(put, HASH_DELAY);
    }
  }

  /** Tell a screen reader where one is, once one stays there. */
  _say() {
    clearTimeout(this.saidTimer);
    this.saidTimer = setTimeout(() => {
      const {run, step} = this;
      const {call, kind, line, values} = run.steps[step];
      const names = values.map((value) => `${run.values[value].name}, ${rangeInWords(run.array(value))}`
        + `${isWrong(run.values[value]) ? ", wrong" : ""}`);
      const what = [`Step ${step}.`, step === run.turn ? "The backward pass begins." : "",
        kind === CALL ? `Call of ${run.nameOf(call)}.` : "", kind === RETURN ? `Return from ${run.nameOf(call)}.` : "",
        kind === LINE ? `Line ${line}: ${this.source.textOf(call, step)}.` : "",
        names.length ? `${names.join("; ")}.` : "",
        step === run.last && run.stopped ? `Stopped: ${run.stopped}` : ""];
      document.getElementById("said").textContent = what.filter(Boolean).join(" ");
    }, SAID_DELAY);
  }

  /** How the whole run compares with the reference. */
  _showSummary() {
    const {run} = this;
    const summary = document.getElementById("summary");
    const counts = `${run.last + 1} steps, ${run.values.length} arrays`;
    document.querySelector("[data-action=wrong]").hidden = !run.wrong.length;
    if (run.firstWrong !== null) {
      const value = run.values[run.firstWrong];
      summary.append(`${counts}. `, make("b", {class: "bad"}, `✗ ${run.wrong.length} wrong, first `),
        make("button", {class: "link", id: "first-wrong", onclick: () => this.goToValue(run.firstWrong)},
          make("code", {}, value.name), ` in ${run.placeOf(run.firstWrong)}, step ${value.time}`));
    } else if (run.compared) {
      summary.append(`${counts}. `, make("b", {class: "good"}, `✓ ${run.compared} compared with ${run.reference}`),
        ", each within its bound.");
    } else {
      summary.append(`${counts}, not compared with anything.`);
    }
    if (run.remark !== null) {
      const remark = document.getElementById("remark");
      remark.hidden = false;
      remark.textContent = sentence(run.remark);
    }
    if (run.stopped !== null) {
      document.getElementById("stopped").append(make("b", {class: "bad"}, "✗ The run ends here: "), run.stopped);
    }
  }
}

/** With a capital letter and a full stop. */
function sentence(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}`;
}

/** The step in the address (#s=12), or null. */
function stepInAddress() {
  const found = /^#s=(\d+)$/.exec(location.hash);
  return found ? Number(found[1]) : null;
}

unpackData().then((data) => {
  document.body.dataset.ready = "yes";
  if (data.steps.length) {
    window.stepper = new Stepper(new Run(data));
  } else {
    document.getElementById("summary").textContent = `Nothing was recorded. ${data.stopped ?? ""}`;
  }
});
