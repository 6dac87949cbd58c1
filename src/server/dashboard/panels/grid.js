// A table that renders the rows in sight only, and writes only what differs.

import { el, setText } from '../dom.js'
import { glow, unlit } from '../glow.js'
import { fontOf, Widths } from './widths.js'

const OVERSCAN = 6
/** Rows shown without scrolling, unless there is room for more. */
const MOST_ROWS = 12

export class Grid {
  #columns
  #options
  #lines = new Map()
  #rows = []
  #extent = null
  #scrollTop = 0
  #height = 0
  #width = 0
  #rowHeight = 28
  #shownRows = 0
  #shownColumns = Infinity
  #widths

  /**
   * `columns` are those of `cellsOf`. `head` makes the content of a head cell; `request` asks for a paint;
   * `label` names the table; `most` is how many rows stand without scrolling; `reserve` for how many there is
   * always room; `isCut` leaves out the last columns where room is short, rather than scroll.
   */
  constructor(columns, options) {
    this.#columns = columns
    this.#options = { most: MOST_ROWS, ...options }
    this.#widths = new Widths(columns)
    this.cols = columns.map(() => el('col'))
    this.heads = columns.map(column => el('th', { scope: 'col', 'data-align': column.align, 'aria-hidden': column.isBar && 'true' }))
    this.heads.forEach((head, index) => head.append(this.#options.head?.(columns[index], head) ?? columns[index].title))
    this.above = spacer(columns.length)
    this.below = spacer(columns.length)
    this.body = el('tbody', {}, this.above, this.below)
    this.table = el('table', { class: 'grid' }, el('colgroup', {}, ...this.cols), el('thead', {}, el('tr', {}, ...this.heads)), this.body)
    this.empty = el('p', { class: 'empty', hidden: true })
    this.element = el('div', { class: 'scroller', tabindex: '0', role: 'region', 'aria-label': `Rows of ${options.label}` }, this.table, this.empty)
    this.element.addEventListener('scroll', () => {
      this.#scrollTop = this.element.scrollTop
      this.#options.request()
    }, { passive: true })
    this.observer = new ResizeObserver(() => this.#measure())
    this.observer.observe(this.element)
  }

  destroy() {
    this.observer.disconnect()
  }

  /** Shows these rows; `touched` says by key which ones are news. */
  paint(rows, { touched = new Map(), extent = null, empty = 'No rows' } = {}) {
    this.#rows = rows
    this.#extent = extent
    setAttribute(this.table, 'aria-rowcount', String(rows.length + 1))
    this.empty.hidden = rows.length > 0
    setText(this.empty, empty)
    this.#reserve()
    if (this.#width === 0) return
    const from = Math.max(0, Math.min(Math.floor(this.#scrollTop / this.#rowHeight), rows.length) - OVERSCAN)
    const to = Math.min(rows.length, from + Math.ceil(this.#height / this.#rowHeight) + 2 * OVERSCAN)
    this.#place(rows.slice(from, to), from, touched)
    spread(this.above, from * this.#rowHeight)
    spread(this.below, (rows.length - to) * this.#rowHeight)
  }

  // Room for so many rows, once taken, is not given back: the page stands still.
  #reserve() {
    const { most, reserve } = this.#options
    const wanted = Math.min(most, Math.max(reserve, this.#rows.length))
    if (wanted <= this.#shownRows) return
    this.#shownRows = wanted
    this.element.style.setProperty('--rows', wanted)
  }

  // Lines stay with their keys, so that their light moves along with them.
  #place(rows, from, touched) {
    const next = new Map()
    for (const { key } of rows) {
      const line = this.#lines.get(key)
      if (!line) continue
      next.set(key, line)
      this.#lines.delete(key)
    }
    const spare = [...this.#lines.values()]
    let place = this.above.nextSibling
    let hasGrown = false
    rows.forEach((row, offset) => {
      let line = next.get(row.key)
      const isNew = !line
      if (isNew) {
        line = spare.pop() ?? this.#line()
        unlit(line.tr)
        line.cells.forEach(unlit)
        next.set(row.key, line)
      }
      if (line.tr === place) place = place.nextSibling
      else this.body.insertBefore(line.tr, place)
      const news = touched.get(row.key)
      hasGrown = this.#write(line, row, from + offset, !isNew && news === 'update') || hasGrown
      if (news === 'insert' || (news === 'update' && isNew)) glow(line.tr)
    })
    for (const { tr } of spare) tr.remove()
    this.#lines = next
    if (hasGrown) this.#fit()
  }

  #line() {
    const cells = this.#columns.map(column => {
      const cell = el('td', { 'data-align': column.align, class: column.isStatus && 'status', 'aria-hidden': column.isBar && 'true' })
      if (!column.isBar) cell.append('')
      return cell
    })
    this.#cut(cells)
    return { tr: el('tr', {}, ...cells), cells, row: null, extent: null, index: -1 }
  }

  #write(line, row, index, lights) {
    if (line.index !== index) {
      line.index = index
      line.tr.setAttribute('aria-rowindex', index + 2)
    }
    if (line.row === row && line.extent === this.#extent) return false
    const isSame = line.row === row
    line.row = row
    line.extent = this.#extent
    let hasGrown = false
    this.#columns.forEach((column, at) => {
      const cell = line.cells[at]
      if (column.paint) return column.paint(cell, row.value, this.#extent)
      if (isSame && !column.ofAll) return
      const text = column.text(row.value, this.#extent)
      const content = cell.firstChild
      if (content.data === text) return
      content.data = text
      setAttribute(cell, 'data-tone', column.tone(row.value))
      setAttribute(cell, 'title', text.length > 16 ? text : undefined)
      if (lights && !isSame) glow(cell)
      hasGrown = this.#widths.see(at, text) || hasGrown
    })
    return hasGrown
  }

  #cut(cells) {
    cells.forEach((cell, index) => (cell.hidden = index >= this.#shownColumns))
  }

  #measure() {
    const { clientWidth, clientHeight } = this.element
    const style = getComputedStyle(this.table)
    const isOther = clientWidth !== this.#width
    this.#height = clientHeight
    this.#width = clientWidth
    this.#rowHeight = parseFloat(style.getPropertyValue('--row')) || this.#rowHeight
    this.#readFonts()
    if (isOther) this.#fit()
    this.#options.request()
  }

  // The first column of a board has a font of its own, so that the cells of a line are asked.
  #readFonts() {
    if (this.#widths.fonts.length) return
    const line = this.#line()
    this.body.append(line.tr)
    this.#widths.fonts = line.cells.map(fontOf)
    line.tr.remove()
    const sign = this.#options.head ? ' ▲' : ''
    this.#columns.forEach((column, index) => this.#widths.seeHead(index, column.title + sign, fontOf(this.heads[index])))
  }

  #fit() {
    if (this.#width === 0) return
    const widths = this.#widths.fit(this.#width, this.#options.isCut)
    widths.forEach((width, index) => {
      this.cols[index].style.width = `${width}px`
      this.cols[index].hidden = width === 0
    })
    this.#shownColumns = widths.filter(width => width > 0).length
    for (const cells of [this.heads, ...[...this.#lines.values()].map(line => line.cells)]) this.#cut(cells)
    this.table.style.width = `${widths.reduce((sum, width) => sum + width, 0)}px`
  }
}

const spacer = columns => el('tr', { class: 'spacer', 'aria-hidden': 'true' }, el('td', { colspan: columns }))

function spread(row, height) {
  const value = `${height}px`
  if (row.style.height !== value) row.style.height = value
  row.hidden = height === 0
}

function setAttribute(element, name, value) {
  if (value === undefined) element.removeAttribute(name)
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value)
}
