"use strict";

/** The source of a call with the line that has run, the calls that led to it, and the line's equation. */
class Source {
  constructor(run, {onStep, onFrame}) {
    this.run = run;
    this.onStep = onStep;
    this.onFrame = onFrame;
    this.function = null;
    this.stackList = document.getElementById("stack");
    this.fold = document.getElementById("fold-stack");
    this.heading = document.getElementById("function");
    this.twin = document.getElementById("twin");
    this.code = document.getElementById("source");
    this.equation = document.getElementById("equation");
    this.isFolded = !isWide();
    this.fold.addEventListener("click", () => {
      this.isFolded = !this.isFolded;
      this._showFold();
    });
  }

  /** call: the one that is shown, which is the running one or one that led to it. */
  show(call, step) {
    this._showStack(call, step);
    this._showHeading(call);
    this._showLines(call, step);
    this._showEquation(call, step);
  }

  _showStack(call, step) {
    const stack = this.run.stack(this.run.steps[step].call);
    this.stackList.replaceChildren(...stack.map((other) => make("li", {}, make("button", {
      class: "link", "aria-current": other === call ? "true" : null, onclick: () => this.onFrame(other),
      title: this.run.calls[other].path || null,
    }, make("code", {}, this.run.nameOf(other))))));
    this._showFold();
  }

  /** Folded, only the call that is shown is left. */
  _showFold() {
    this.stackList.classList.toggle("folded", this.isFolded);
    this.fold.setAttribute("aria-expanded", String(!this.isFolded));
  }

  _showHeading(call) {
    const {path, reverses, reversedBy} = this.run.calls[call];
    const {file} = this.run.functionOf(call);
    this.heading.replaceChildren(make("span", {class: "code"}, file), ...(path ? [` as ${path}`] : []));
    const twin = reverses ?? reversedBy;
    this.twin.hidden = twin === null;
    if (twin === null) return;
    const {first, last} = this.run.calls[twin];
    this.twin.replaceChildren(reverses === null ? "· reversed by " : "· reverses ",
      make("button", {class: "link", onclick: () => this.onStep(first)},
        make("code", {}, this.run.nameOf(twin)), `, steps ${first} to ${last}`));
  }

  _showLines(call, step) {
    const code = this.run.functionOf(call);
    if (code !== this.function) {
      this.function = code;
      this.lines = code.source.map((html, index) => {
        const text = make("span", {class: "text"});
        text.innerHTML = html || " ";    // made by Pygments, which escapes
        const label = code.labels[code.first_line + index];
        return make("li", {"data-line": String(code.first_line + index), class: label ? "labelled" : null},
          make("span", {class: "line-number", "aria-hidden": "true"}, String(code.first_line + index)), text);
      });
      this.code.replaceChildren(make("ol", {class: "code"}, ...this.lines));
      this.code.setAttribute("aria-label", `Source of ${this.run.nameOf(call)}`);
      this.marked = [];
    }
    const [first, last] = this.run.statementAt(call, step);
    const lines = this.lines.slice(first - code.first_line, last - code.first_line + 1);
    const [line] = lines;
    for (const marked of this.marked) {
      marked.removeAttribute("aria-current");
      marked.classList.remove("current", "inside");
    }
    line.setAttribute("aria-current", "step");
    for (const marked of lines) {
      marked.classList.add("current");
      marked.classList.toggle("inside", call !== this.run.steps[step].call);
    }
    this.marked = lines;
    this._scrollTo(line);
  }

  /** Within the box of the source alone: the page stays where it is. */
  _scrollTo(line) {
    const top = line.offsetTop;
    const {scrollTop, clientHeight} = this.code;
    if (top < scrollTop + 30 || top > scrollTop + clientHeight - 70) this.code.scrollTop = top - clientHeight / 2;
  }

  _showEquation(call, step) {
    const {labels} = this.run.functionOf(call);
    const [first, last] = this.run.statementAt(call, step);
    const label = Object.entries(labels).find(([line]) => first <= line && line <= last)?.[1];
    const latex = label && this.run.equations[label];
    this.equation.hidden = !Object.keys(labels).length;
    this.equation.classList.toggle("none", !latex);
    if (!latex) {
      this.equation.replaceChildren(make("figcaption", {class: "soft"}, "This line has no equation of its own."));
      return;
    }
    const formula = make("div", {class: "formula", tabindex: "0", role: "group", "aria-label": `equation ${label}`});
    formula.innerHTML = latex;    // MathML, made at build time from the book's own text
    this.equation.replaceChildren(formula, make("figcaption", {class: "soft"}, make("code", {}, label),
      ": a bar stands for a gradient, as d_ does in the code"));
  }

  /** The text of the statement that has run. */
  textOf(call, step) {
    const code = this.run.functionOf(call);
    const [first, last] = this.run.statementAt(call, step);
    return code.source.slice(first - code.first_line, last - code.first_line + 1).map((html) => {
      const text = make("span");
      text.innerHTML = html;
      return text.textContent.replace(/\s+#.*$/, "").trim();
    }).join(" ");
  }
}
