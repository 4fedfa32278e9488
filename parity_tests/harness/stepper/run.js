"use strict";

const CALL = 0, LINE = 1, RETURN = 2;    // kinds of steps

/** The recorded run: where one is at a step, and which step comes next. Steps, calls and values are indices. */
class Run {
  constructor(data) {
    this.reference = data.reference;
    this.functions = data.functions;
    this.calls = data.calls;
    this.values = data.values.map((value) => ({
      ...value, error: asNumber(value.error), bound: asNumber(value.bound), difference: asNumber(value.difference),
    }));
    this.steps = data.steps.map(([call, kind, line, values]) => ({call, kind, line, values}));
    this.arrays = data.arrays.map((packed) => new Numbers(packed));
    this.equations = data.equations;
    this.stopped = data.stopped;
    this.remark = data.remark;
    this.backward = data.backward;
    this.last = this.steps.length - 1;
    this.compared = this.values.filter((value) => value.error !== null || isWrong(value)).length;
    this._indexCalls();
    this._indexValues();
    const turn = this.steps.findIndex((step) => this.backward[step.call]);
    this.turn = turn < 0 ? null : turn;    // the first step of the backward pass
    this.firstWrong = data.first_wrong ?? this.wrong[0] ?? null;
  }

  _indexCalls() {
    for (const call of this.calls) {
      call.children = [];
      call.values = [];
      call.depth = call.parent === null ? 0 : this.calls[call.parent].depth + 1;
      call.reversedBy = null;
      call.first = call.last = null;
      call.wrong = 0;
    }
    this.calls.forEach((call, index) => {
      if (call.parent !== null) this.calls[call.parent].children.push(index);
      if (call.reverses !== null) this.calls[call.reverses].reversedBy = index;
    });
    this.steps.forEach((step, index) => {
      const call = this.calls[step.call];
      if (call.first === null) call.first = index;
      call.last = index;
    });
    this.roots = [...this.calls.keys()].filter((call) => this.calls[call].parent === null);
    this.depth = Math.max(0, ...this.calls.map((call) => call.depth)) + 1;
  }

  _indexValues() {
    this.wrong = [];
    this.values.forEach((value, index) => {
      this.calls[value.call].values.push(index);
      if (!isWrong(value)) return;
      this.wrong.push(index);
      for (let call = value.call; call !== null; call = this.calls[call].parent) this.calls[call].wrong += 1;
    });
    this.wrong.sort((one, other) => this.values[one].time - this.values[other].time);
  }

  functionOf(call) {
    return this.functions[this.calls[call].function];
  }

  /** The name of the function that a call runs; of one that was defined inside another, without that one's. */
  nameOf(call) {
    return this.functionOf(call).name.replace(/^.*<locals>\./, "");
  }

  /** The calls that are running at a call, outermost first. */
  stack(call) {
    const calls = [];
    for (let at = call; at !== null; at = this.calls[at].parent) calls.unshift(at);
    return calls;
  }

  /** The values of a call's names as they stand at a step, the latest assignment first. */
  localsAt(call, step) {
    const latest = new Map();
    for (const index of this.calls[call].values) {
      if (this.values[index].time <= step) latest.set(this.values[index].name, index);
    }
    return [...latest.values()].sort((one, other) => this.values[other].time - this.values[one].time || one - other);
  }

  /** [name, text] of the numbers and texts of a call as they stand at a step. */
  notesAt(call, step) {
    return Object.entries(this.calls[call].notes)
      .map(([name, notes]) => [name, notes.filter(([time]) => time <= step).pop()])
      .filter(([, note]) => note)
      .map(([name, note]) => [name, note[1]]);
  }

  /** The line of a running call at a step: where it is, or where it made the call that is running. */
  lineAt(call, step) {
    const stack = this.stack(this.steps[step].call);
    const inner = stack[stack.indexOf(call) + 1];
    return inner === undefined ? this.steps[step].line : this.calls[inner].line;
  }

  /** [first, last] of the lines that the statement takes which `lineAt` is in. */
  statementAt(call, step) {
    const line = this.lineAt(call, step);
    const holding = Object.entries(this.functionOf(call).last_lines)
      .map(([first, last]) => [Number(first), last]).filter(([first, last]) => first <= line && line <= last);
    return holding.pop() ?? [line, line];
  }

  /** Going from a step in a direction (1 or -1): the nearest step that fits, or null. */
  find(step, direction, fits) {
    for (let at = step + direction; at >= 0 && at <= this.last; at += direction) {
      if (fits(this.steps[at], at)) return at;
    }
    return null;
  }

  depthAt(step) {
    return this.calls[this.steps[step].call].depth;
  }

  /** The next (or previous) step that is no deeper: calls made from here are stepped over. */
  over(step, direction) {
    const depth = this.depthAt(step);
    return this.find(step, direction, (other) => this.calls[other.call].depth <= depth);
  }

  /** The next step of the caller. */
  out(step) {
    const depth = this.depthAt(step);
    return this.find(step, 1, (other) => this.calls[other.call].depth < depth);
  }

  /** The next step that assigns an array, in calls no deeper than that; what a call is given is not assigned anew. */
  tensor(step, deepest = Infinity) {
    return this.find(step, 1, (other) => other.kind !== CALL && other.values.length > 0
      && this.calls[other.call].depth <= deepest);
  }

  /** The next step with a wrong array; after the last one, the first. */
  nextWrong(step) {
    const times = this.wrong.map((index) => this.values[index].time);
    return times.find((time) => time > step) ?? times[0] ?? null;
  }

  /** The other value of a pair: of x its gradient, of d_x what it is the gradient of; or null. */
  partner(value) {
    const {of, gradient} = this.values[value];
    return of ?? gradient;
  }

  /** Where a backward call's local comes from, if it is what the forward call has kept of the same name; or null. */
  keptFrom(value) {
    const {call, name, array} = this.values[value];
    const {reverses} = this.calls[call];
    if (reverses === null) return null;
    return this.calls[reverses].values.find((other) => this.values[other].name === name
      && this.values[other].array === array) ?? null;
  }

  array(value) {
    return this.arrays[this.values[value].array];
  }

  /** Where a value belongs, in words: "layer_norm, encoder.layers.0.norm". */
  placeOf(value) {
    const call = this.values[value].call;
    return [this.nameOf(call), this.calls[call].path].filter(Boolean).join(", ");
  }
}

/** Errors that JSON cannot hold come as texts. */
function asNumber(value) {
  return value === null ? null : Number(value);
}

function isWrong(value) {
  return value.problem !== null;
}
