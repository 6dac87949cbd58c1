// What stands in a table's cells: text, a status with its mark, or a bar.

import { cellText, fieldOf } from '../shape.js'
import { el } from '../dom.js'
import { isDelayField, isStatusField, toneOfDelay, toneOfWord } from '../tones.js'

/**
 * Gives a column what its cells need: `text(value, extent)` of a row's value, `paint(td, cell, value, extent)` for
 * what is not text, and `tone(value)`.
 */
export function cellsOf(column) {
  if (isStatusField(column.field)) {
    return { ...textCells, ...column, text: plainText(column), tone: value => toneOfWord(fieldOf(value, column.field)), extra: 18, isStatus: true }
  }
  if (isDelayField(column)) {
    const signed = { ...column, sign: true }
    return { ...textCells, ...signed, text: plainText(signed), tone: value => toneOfDelay(fieldOf(value, column.field)) }
  }
  return { ...textCells, ...column, text: plainText(column) }
}

const plainText = column => value => cellText(value, column)

const textCells = { tone: () => undefined }

/** A column of bars over the field of another one. `extent` is `{ least, most }` of all rows, with 0 within. */
export const barCells = column => ({
  ...column,
  title: '',
  text: () => '',
  tone: () => undefined,
  isBar: true,
  least: 90,
  paint(td, value, { least, most }) {
    const bar = td.firstElementChild ?? td.appendChild(el('span', { class: 'bar' }, el('i')))
    const number = fieldOf(value, column.field)
    const span = most - least || 1
    const size = typeof number === 'number' ? number : 0
    const { style } = bar.firstElementChild
    style.left = `${((Math.min(0, size) - least) / span) * 100}%`
    style.width = `${(Math.abs(size) / span) * 100}%`
    bar.firstElementChild.hidden = typeof number !== 'number'
    bar.firstElementChild.classList.toggle('below', size < 0)
  },
})
