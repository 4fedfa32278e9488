"use strict";

const STORED = {
  float32: Float32Array, float64: Float64Array, int32: Int32Array, uint8: Uint8Array,
  complex64: Float32Array, complex128: Float64Array,
};

/** An array of the run. Its numbers are decoded when they are first asked for. */
class Numbers {
  constructor(packed) {
    this.packed = packed;
    this.dtype = packed.dtype;
    this.shape = packed.shape;
    this.size = packed.shape.reduce((product, length) => product * length, 1);
    this.isText = packed.stored === "text";
    this.isComplex = packed.stored.startsWith("complex");
    this.isBoolean = packed.dtype === "bool";
  }

  get data() {
    if (!this._data) {
      this._data = this.isText ? this.packed.data : new STORED[this.packed.stored](
        Uint8Array.from(atob(this.packed.data), (c) => c.charCodeAt(0)).buffer);
      this.packed.data = null;
    }
    return this._data;
  }

  /** The number at a flat index; of a complex one its absolute value, of a text NaN. */
  at(index) {
    if (this.isText) return NaN;
    return this.isComplex ? Math.hypot(this.data[2 * index], this.data[2 * index + 1]) : this.data[index];
  }

  /** A number in full, as many digits as it takes to tell it from its neighbours. */
  full(index) {
    return this._text(index, this.packed.stored === "float32" || this.packed.stored === "complex64"
      ? shortestFloat32 : inWords);
  }

  /** A number in four digits. */
  short(index) {
    return this._text(index, fourDigits);
  }

  _text(index, written) {
    if (this.isText) return this.data[index];
    if (this.isBoolean) return this.data[index] ? "True" : "False";
    if (!this.dtype.includes("float") && !this.isComplex) return String(this.data[index]);
    if (!this.isComplex) return written(this.data[index]);
    const imaginary = written(this.data[2 * index + 1]);
    return `${written(this.data[2 * index])}${imaginary.startsWith("-") ? "" : "+"}${imaginary}j`;
  }

  /** Smallest and largest finite number, and how many are infinite or no number. */
  get range() {
    if (!this._range) {
      const range = {low: Infinity, high: -Infinity, minus: 0, plus: 0, nan: 0};
      for (let index = 0; index < this.size; index += 1) {
        const number = this.at(index);
        if (Number.isNaN(number)) range.nan += 1;
        else if (number === Infinity) range.plus += 1;
        else if (number === -Infinity) range.minus += 1;
        else {
          range.low = Math.min(range.low, number);
          range.high = Math.max(range.high, number);
        }
      }
      range.isSigned = range.low < 0;
      range.scale = range.low > range.high ? 0 : Math.max(Math.abs(range.low), Math.abs(range.high));
      this._range = range;
    }
    return this._range;
  }

  /** "(3, 4, 8)", as NumPy writes it. */
  get shapeText() {
    return `(${this.shape.join(", ")}${this.shape.length === 1 ? "," : ""})`;
  }
}

function inWords(number) {
  if (Number.isFinite(number)) return Object.is(number, -0) ? "-0" : String(number);
  return Number.isNaN(number) ? "NaN" : number > 0 ? "∞" : "-∞";
}

/** The shortest text that reads back as the same float32. */
function shortestFloat32(number) {
  for (let digits = 6; digits < 9; digits += 1) {
    const rounded = Number(number.toPrecision(digits));
    if (Math.fround(rounded) === number) return inWords(rounded);
  }
  return Number.isFinite(number) ? inWords(Number(number.toPrecision(9))) : inWords(number);
}

/** Four digits: 0.3827, 12.35, 1.235e-5. */
function fourDigits(number) {
  return inDigits(number, 4);
}

/** Two digits, of errors. */
function twoDigits(number) {
  return Number.isInteger(number) && number < 1e5 ? String(number) : inDigits(number, 2);
}

function inDigits(number, digits) {
  if (number === 0) return "0";
  if (!Number.isFinite(number)) return inWords(number);
  const size = Math.abs(number);
  if (size >= 1e-3 && size < 1e5) return String(Number(number.toPrecision(digits)));
  return number.toExponential(digits - 1).replace(/(\.\d*?)0+e/, "$1e").replace(".e", "e").replace("e+", "e");
}
