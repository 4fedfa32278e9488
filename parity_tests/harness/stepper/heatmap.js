"use strict";

const SHADES = 64;
const MOST_CELLS = 200;    // in a row or column
const TEXT_CELL = 50;    // pixels that eight characters take
let palette = null;

/** Colours of cells, and of the text in them, made anew when the theme changes. */
function makePalette() {
  const shades = (name) => {
    const stops = [colour("zero"), colour(`${name}-1`), colour(`${name}-2`)];
    return Array.from({length: SHADES + 1}, (_, index) => {
      const shade = between(stops, index / SHADES);
      return {fill: rgb(shade), text: isBright(shade) ? "#000000" : "#ffffff"};
    });
  };
  palette = {
    minus: shades("minus"), plus: shades("plus"), only: shades("only"),
    outside: rgb(colour("outside")), hatch: rgb(colour("hatch")), bad: rgb(colour("cell-nan")),
  };
}

/** True where black can be read better than white, by their contrast in WCAG. */
function isBright(shade) {
  const [red, green, blue] = shade.map((part) => (part / 255) ** 2.2);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179;
}

/** The two last axes of an array as rows and columns, of many every so many; indices: where on the axes before them. */
class Slice {
  constructor(numbers, indices) {
    const [rows, columns] = [1, 1, ...numbers.shape].slice(-2);
    let offset = 0;
    indices.forEach((index, axis) => { offset = offset * numbers.shape[axis] + index; });
    this.offset = offset * rows * columns;
    this.length = columns;
    this.steps = [Math.ceil(rows / MOST_CELLS), Math.ceil(columns / MOST_CELLS)];
    this.rows = Math.ceil(rows / this.steps[0]);
    this.columns = Math.ceil(columns / this.steps[1]);
  }

  /** The flat index of a cell. */
  index(row, column) {
    return this.offset + row * this.steps[0] * this.length + column * this.steps[1];
  }

  /** Row and column of a cell in the array. */
  place(row, column) {
    return [row * this.steps[0], column * this.steps[1]];
  }
}

/** How large a cell is drawn, in pixels of the page, in so many pixels of width. */
function cellSize({rows, columns}, width) {
  const wide = Math.floor(width / columns);
  const tall = Math.floor(180 / rows);
  if (columns * TEXT_CELL <= width && rows <= 12) {
    return {width: Math.min(wide, 58), height: 22, withText: true};
  }
  return {
    width: Math.max(1, Math.min(wide, 24)),
    height: Math.max(1, Math.min(tall, Math.max(wide, 6), 20)),
    withText: false,
  };
}

/** Draw a slice of an array. The scale is that of the whole array, 0 in the middle if anything in it is negative. */
function drawHeatmap(canvas, numbers, slice, cell) {
  const {rows, columns} = slice;
  const sharp = Math.min(window.devicePixelRatio || 1, rows * columns > 4096 ? 1 : 3);
  canvas.width = Math.round(columns * cell.width * sharp);
  canvas.height = Math.round(rows * cell.height * sharp);
  canvas.style.width = `${columns * cell.width}px`;
  canvas.style.height = `${rows * cell.height}px`;
  const context = canvas.getContext("2d", {willReadFrequently: true});    // many small ones: quicker without the GPU
  context.scale(sharp, sharp);
  context.font = "10px ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace";
  context.textAlign = "center";
  context.textBaseline = "middle";
  const gap = cell.width >= 7 && cell.height >= 7 ? 1 : 0;
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      drawCell(context, numbers, slice.index(row, column), {
        left: column * cell.width, top: row * cell.height, width: cell.width - gap, height: cell.height - gap,
        withText: cell.withText,
      });
    }
  }
}

function drawCell(context, numbers, index, box) {
  const number = numbers.at(index);
  if (!Number.isFinite(number) && !numbers.isText) {
    drawOutside(context, number, box);
    return;
  }
  const {fill, text} = shadeOf(numbers, number);
  context.fillStyle = fill;
  context.fillRect(box.left, box.top, box.width, box.height);
  if (box.withText) {
    context.fillStyle = text;
    context.fillText(inCell(numbers, index), box.left + box.width / 2, box.top + box.height / 2 + 1);
  }
}

/** A number in no more than eight characters. */
function inCell(numbers, index) {
  const text = numbers.short(index);
  if (text.length <= 8) return text;
  if (numbers.isText || numbers.isComplex) return `${text.slice(0, 7)}…`;
  return numbers.at(index).toExponential(1).replace("e+", "e");
}

/** Of a finite number. */
function shadeOf(numbers, number) {
  const {scale, isSigned} = numbers.range;
  const shades = !isSigned ? palette.only : number < 0 ? palette.minus : palette.plus;
  return shades[scale && !numbers.isText ? Math.round(Math.abs(number) / scale * SHADES) : 0];
}

/** Infinity is hatched, up or down as its sign; NaN is crossed out in the colour of what is wrong. */
function drawOutside(context, number, {left, top, width, height}) {
  const isNaN = Number.isNaN(number);
  context.fillStyle = isNaN ? palette.bad : palette.outside;
  context.fillRect(left, top, width, height);
  if (width < 3 || height < 3) return;
  context.strokeStyle = isNaN ? palette.outside : palette.hatch;
  context.lineWidth = 1;
  context.beginPath();
  if (isNaN || number > 0) {
    context.moveTo(left, top + height);
    context.lineTo(left + width, top);
  }
  if (isNaN || number < 0) {
    context.moveTo(left, top);
    context.lineTo(left + width, top + height);
  }
  context.stroke();
}
