// Number tiles: the fields of a single row, each with its recent course.

import { cellText, fieldOf } from '../shape.js'
import { el, setText } from '../dom.js'
import { glow } from '../glow.js'
import { spark } from '../spark.js'

const COURSE = 90
const SECOND = 1000

export class Numbers {
  #tiles
  #value
  #sampled = 0

  constructor(shape) {
    this.#tiles = shape.columns.map(column => {
      const figure = el('dd', { class: 'figure', text: ' ' })
      const course = spark(COURSE)
      return { column, figure, course, element: el('div', { class: 'tile' }, el('dt', { text: column.title }), figure, course.element) }
    })
    this.element = el('dl', { class: 'tiles' }, ...this.#tiles.map(tile => tile.element))
  }

  paint(rows, { replaced }) {
    const value = rows.at(0)?.value
    const now = performance.now()
    const isTime = now - this.#sampled >= SECOND
    if (isTime) this.#sampled = now
    if (value === this.#value && !isTime) return
    for (const { column, figure, course, element } of this.#tiles) {
      const text = value === undefined ? '–' : cellText(value, column) || '–'
      if (figure.textContent !== text) {
        setText(figure, text)
        element.dataset.size = text.length > 12 ? 'small' : text.length > 7 ? 'middle' : 'large'
        if (this.#value !== undefined && !replaced) glow(figure, true)
      }
      const number = fieldOf(value, column.field)
      if (isTime && typeof number === 'number') course.push(number)
    }
    this.#value = value
  }
}
