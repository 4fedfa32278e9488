"use strict";

const SHOWN = 40;

/** Finds assignments of arrays by name or place, as one types. */
class Find {
  constructor(run, {onGo}) {
    this.run = run;
    this.onGo = onGo;
    this.input = document.getElementById("find");
    this.list = document.getElementById("found");
    this.status = document.getElementById("found-count");
    this.input.addEventListener("input", () => this._show());
    this.input.addEventListener("focus", () => this._show());
    const box = this.input.parentElement;
    box.addEventListener("keydown", (event) => this._key(event));
    box.addEventListener("focusout", (event) => { if (!box.contains(event.relatedTarget)) this._hide(); });
  }

  _matches() {
    const words = this.input.value.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length) return [];
    const places = this.run.values.map((value, index) => ({
      index, name: value.name.toLowerCase(), text: `${value.name} ${this.run.placeOf(index)}`.toLowerCase(),
    }));
    const found = places.filter(({text}) => words.every((word) => text.includes(word)));
    const rank = ({name}) => (name === words[0] ? 0 : name.startsWith(words[0]) ? 1 : name.includes(words[0]) ? 2 : 3);
    return found.sort((one, other) => rank(one) - rank(other) || one.index - other.index);
  }

  _show() {
    const found = this._matches();
    this.list.hidden = !found.length;
    this.status.textContent = this.input.value ? `${found.length} found` : "";
    this.list.replaceChildren(...found.slice(0, SHOWN).map(({index}) => {
      const value = this.run.values[index];
      return make("li", {}, make("button", {onclick: () => { this._hide(); this.onGo(index); }},
        make("code", {}, value.name),
        make("span", {class: "soft"}, ` ${this.run.placeOf(index)}, step ${value.time}`)));
    }));
    if (found.length > SHOWN) this.list.append(make("li", {class: "soft"}, `and ${found.length - SHOWN} more`));
  }

  _hide() {
    this.list.hidden = true;
    this.status.textContent = "";
  }

  _key(event) {
    const buttons = [...this.list.querySelectorAll("button")];
    const at = buttons.indexOf(document.activeElement);
    if (event.key === "Escape") {
      this._hide();
      this.input.blur();
    } else if (event.key === "Enter" && event.target === this.input && buttons.length) {
      event.preventDefault();
      buttons[0].click();
    } else if (event.key === "ArrowDown" && buttons.length) {
      event.preventDefault();
      buttons[Math.min(at + 1, buttons.length - 1)].focus();
    } else if (event.key === "ArrowUp" && at >= 0) {
      event.preventDefault();
      (buttons[at - 1] ?? this.input).focus();
    }
  }
}
