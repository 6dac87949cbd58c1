// Widths of a table's columns: as its texts need, growing only, so that a live table stands still.

import { el } from '../dom.js'

/** Of a cell, and a little for letters that are a fraction wider on the page. */
const PADDING = 26
/** No letter is wider in pixels, give or take one. */
const WIDEST = 14
const LEAST = 44
/** Text may be cut to this much where room is short, and gets no more than that much unasked. */
const LEAST_TEXT = 88
const MOST_TEXT = 340

const context = document.createElement('canvas').getContext('2d')

export class Widths {
  #columns

  constructor(columns) {
    this.#columns = columns.map(column => ({
      natural: column.least ?? LEAST,
      extra: column.extra ?? 0,
      isFlexible: column.align !== 'right' && !column.isBar,
      isGreedy: column.isBar,
    }))
    /** Of each column's cells, by `fontOf`. */
    this.fonts = []
  }

  /** Takes note of a text in a column; whether the column has to grow. */
  see(index, text) {
    const column = this.#columns[index]
    // Measuring takes time, so only what can be wider is measured.
    if (text.length * WIDEST <= column.natural - PADDING - column.extra) return false
    return this.#grow(column, text, this.fonts[index])
  }

  /** The same for the head of a column. */
  seeHead(index, text, font) {
    return this.#grow(this.#columns[index], text, font)
  }

  #grow(column, text, { font, digit }) {
    context.font = font
    // All digits are of one width on the page, which a canvas does not do.
    const shown = text.slice(0, 80)
    const rest = shown.replace(/\d/g, '')
    const width = Math.ceil(context.measureText(rest).width + digit * (shown.length - rest.length)) + PADDING + column.extra
    if (width <= column.natural) return false
    column.natural = Math.min(width, MOST_TEXT)
    return true
  }

  /**
   * Widths in pixels that fill what is there, or more than that if there is too little. With `isCut` the last
   * columns that have no room get none instead.
   */
  fit(available, isCut) {
    if (!isCut) return this.#fill(this.#columns, available)
    const least = this.#columns.map(column => (column.isFlexible ? Math.min(column.natural, LEAST_TEXT) : column.natural))
    let count = 1
    for (let width = least[0]; count < least.length && width + least[count] <= available; count++) width += least[count]
    const widths = this.#fill(this.#columns.slice(0, count), available)
    return this.#columns.map((_, index) => widths[index] ?? 0)
  }

  #fill(columns, available) {
    const widths = columns.map(column => column.natural)
    let rest = available - sum(widths)
    const flexible = columns.map((column, index) => index).filter(index => columns[index].isFlexible)
    if (rest < 0) {
      // Those that can shrink do so in proportion to what they can give.
      const give = index => (flexible.includes(index) ? Math.max(0, widths[index] - LEAST_TEXT) : 0)
      const gives = widths.map((_, index) => give(index))
      const share = Math.min(1, -rest / (sum(gives) || 1))
      return widths.map((width, index) => Math.floor(width - gives[index] * share))
    }
    // Bars take all there is; without them text does, and without text everything.
    const all = widths.map((_, index) => index)
    const greedy = all.filter(index => columns[index].isGreedy)
    const takers = [greedy, flexible, all].find(indexes => indexes.length)
    const total = sum(takers.map(index => widths[index]))
    for (const index of takers) widths[index] += (rest * columns[index].natural) / total
    return widths
  }
}

/** The font of an element as a canvas takes it, and how wide its digits are. */
export function fontOf(element) {
  const { fontWeight, fontSize, fontFamily } = getComputedStyle(element)
  const probe = element.appendChild(el('span', { text: '0000000000' }))
  const digit = probe.getBoundingClientRect().width / 10
  probe.remove()
  return { font: `${fontWeight} ${fontSize} ${fontFamily}`, digit }
}

const sum = numbers => numbers.reduce((total, number) => total + number, 0)
