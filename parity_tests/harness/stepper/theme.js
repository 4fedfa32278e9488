"use strict";

/** Dark or light as a reader chooses, whatever the system prefers: the colours stand in a media rule of each sheet. */
class Theme {
  constructor(onChange) {
    this.onChange = onChange;
    this.system = matchMedia("(prefers-color-scheme: dark)");
    this.rules = [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules])
      .filter((rule) => rule instanceof CSSMediaRule && rule.media.mediaText === this.system.media);
    this.isDark = this.system.matches;
    this.system.addEventListener("change", () => this.choose(this.system.matches));
  }

  choose(isDark) {
    this.isDark = isDark;
    for (const rule of this.rules) rule.media.mediaText = isDark ? "all" : "not all";
    document.documentElement.style.colorScheme = isDark ? "dark" : "light";
    this.onChange();
  }
}

/** True where there is room for two columns, as in stepper.css. */
function isWide() {
  return matchMedia("(min-width: 900px)").matches;
}

/** A colour of the style sheet by its name, as [red, green, blue]. */
function colour(name) {
  const text = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  return [1, 3, 5].map((start) => parseInt(text.slice(start, start + 2), 16));
}

function rgb([red, green, blue]) {
  return `rgb(${red} ${green} ${blue})`;
}

/** A colour between several, at 0 the first of them, at 1 the last. */
function between(colours, at) {
  const place = Math.min(Math.max(at, 0), 1) * (colours.length - 1);
  const index = Math.min(Math.floor(place), colours.length - 2);
  return colours[index].map((part, i) => Math.round(part + (place - index) * (colours[index + 1][i] - part)));
}
