// A table: sortable, searchable, with news alight.

import { el } from '../dom.js'
import { count } from '../format.js'
import { cellsOf } from './cells.js'
import { Grid } from './grid.js'
import { Order } from './order.js'

/** Rows that there is always room for. */
const RESERVED = 3

/** `context` has `request`, which asks for a paint. `options` are the grid's, and `isSortable`. */
export class Table {
  #order
  #grid
  #search = ''

  constructor(shape, context, { columns = shape.columns.map(cellsOf), extent = () => null, isSortable = true, ...options } = {}) {
    this.extent = extent
    this.request = context.request
    this.#order = new Order(columns.filter(column => !column.isBar))
    const head = (column, cell) => (isSortable && !column.isBar ? this.#head(column, cell) : column.title)
    this.#grid = new Grid(columns, { label: shape.title, reserve: shape.limit ?? RESERVED, request: context.request, head, ...options })
    this.element = this.#grid.element
  }

  /** Shows a result's rows. Returns what a search leaves of them, in words. */
  paint(all, { touched }) {
    const { rows, late } = this.#order.rows(all)
    const empty = all.length ? `No row matches “${this.#search}”` : 'No rows'
    this.#grid.paint(rows, { touched, extent: this.extent(all), empty })
    if (late) setTimeout(this.request, late)
    return this.#search && `${count(rows.length)} of ${count(all.length)}`
  }

  search(text) {
    this.#search = text.trim()
    this.#order.search = text
    this.element.scrollTop = 0
  }

  destroy() {
    this.#grid.destroy()
  }

  // A press sorts up, the next one down, the third as the result has it.
  #head(column, cell) {
    const press = () => {
      const { sort } = this.#order
      const isThis = sort?.column === column
      this.#order.sort = !isThis ? { column, descending: false } : sort.descending ? null : { column, descending: true }
      for (const head of this.#grid.heads) head.removeAttribute('aria-sort')
      if (this.#order.sort) cell.setAttribute('aria-sort', this.#order.sort.descending ? 'descending' : 'ascending')
      this.request()
    }
    return el('button', { type: 'button', on: { click: press } }, el('span', { text: column.title }))
  }
}
