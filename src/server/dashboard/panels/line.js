// A line chart by uPlot, with the values under the pointer, or the last ones, as its legend.

import { cellText, fieldOf } from '../shape.js'
import { el, setText } from '../dom.js'
import { formatValue } from '../format.js'
import { pointsOf } from './points.js'

const COLOURS = ['--series-1', '--series-2', '--series-3', '--series-4', '--series-5', '--series-6', '--series-7']
const DASHES = [[], [7, 4], [2, 3], [10, 3, 2, 3]]
/** Steps of axes whose numbers are not decimal. */
const STEPS = { minutes: [1, 2, 5, 10, 15, 30, 60, 120, 240, 480, 720, 1440, 2880, 7200, 14400], whole: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 1e4, 2e4, 5e4, 1e5, 1e6, 1e7, 1e8, 1e9] }
const MANY_POINTS = 40
const LEAST_HEIGHT = 150

export class Line {
  #shape
  #request
  #chart = null
  #points = null
  #rows = null
  #size = null
  #form = ''

  constructor(shape, context) {
    this.#shape = shape
    this.#request = context.request
    this.legend = el('ul', { class: 'legend' })
    this.place = el('p', { class: 'place' })
    this.canvas = el('div', { class: 'canvas', tabindex: '0', role: 'img', on: { keydown: event => this.#walk(event) } })
    this.empty = el('p', { class: 'empty', hidden: true, text: 'No rows' })
    this.element = el('div', { class: 'chart' }, el('div', { class: 'readout' }, this.legend, this.place), this.canvas, this.empty)
    this.observer = new ResizeObserver(([{ contentRect }]) => {
      this.#size = { width: Math.floor(contentRect.width), height: Math.max(LEAST_HEIGHT, Math.floor(contentRect.height)) }
      this.#chart?.setSize(this.#size)
      this.#request()
    })
    this.observer.observe(this.canvas)
  }

  destroy() {
    this.observer.disconnect()
    this.#chart?.destroy()
  }

  /** Colours are others now. */
  recolour() {
    this.#form = ''
    this.#rows = null
  }

  paint(rows) {
    if (!this.#size?.width) return
    this.empty.hidden = rows.length > 0
    const all = rows.slice()
    this.#points = pointsOf(this.#shape, all)
    this.#rows = all
    const { kind, xs, lines } = this.#points
    const form = JSON.stringify([kind, lines.map(line => line.name), xs.length > MANY_POINTS])
    if (form !== this.#form) {
      this.#form = form
      this.#build()
    } else {
      this.#chart.setData([xs, ...lines.map(line => line.values)])
    }
    this.#read()
  }

  #build() {
    const { kind, label, xs, lines } = this.#points
    this.#chart?.destroy()
    const colour = colours(this.element)
    const axis = { stroke: colour('--dim'), font: `11px ${getComputedStyle(this.element).fontFamily}`, ticks: { show: false }, grid: { stroke: colour('--hair'), width: 1 } }
    const isWhole = kind === 'category' || (kind === 'number' && xs.every(Number.isInteger))
    const say = at => this.#points.label(at)
    this.#chart = new window.uPlot(
      {
        ...this.#size,
        padding: [10, 14, 0, 0],
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
        scales: { x: { time: false, range: (_, least, most) => (least === most ? [least - 1, most + 1] : [least, most]) }, y: { range: withZero } },
        axes: [
          { ...axis, ...(isWhole && { incrs: STEPS.whole }), space: 56, size: 26, gap: 4, grid: { show: false }, values: (_, splits) => splits.map(say) },
          { ...axis, ...(STEPS[lines[0]?.column.format] && { incrs: STEPS[lines[0].column.format] }), size: (_, values) => Math.max(30, ...(values ?? []).map(text => 10 + 6.4 * (text?.length ?? 0))), gap: 4, space: 36, values: (_, splits) => splits.map(at => formatValue(at, { ...lines[0]?.column, decimals: undefined })) },
        ],
        series: [
          {},
          ...lines.map((line, index) => ({
            label: line.name,
            stroke: colour(COLOURS[index % COLOURS.length]),
            fill: lines.length === 1 ? colour('--area') : undefined,
            width: 1.75,
            dash: DASHES[Math.floor(index / COLOURS.length) % DASHES.length],
            points: { show: xs.length <= MANY_POINTS, size: 5, fill: colour('--surface') },
          })),
        ],
        hooks: { setCursor: [() => this.#read()] },
      },
      [xs, ...lines.map(line => line.values)],
      this.canvas,
    )
    this.#entries(lines)
    this.canvas.setAttribute('aria-label', this.#summary(label))
  }

  #entries(lines) {
    this.legend.replaceChildren(
      ...lines.map((line, index) => {
        const key = el('span', { class: 'key', 'aria-hidden': 'true' })
        key.style.borderTopColor = `var(${COLOURS[index % COLOURS.length]})`
        key.style.borderTopStyle = ['solid', 'dashed', 'dotted', 'dashed'][Math.floor(index / COLOURS.length) % DASHES.length]
        return el('li', {}, key, el('span', { text: line.name || line.column.title }), el('b'))
      }),
    )
  }

  // The values at the pointer; without one, the last of each line.
  #read() {
    if (!this.#chart || !this.#points) return
    const { xs, lines, x, label } = this.#points
    const at = this.#chart.cursor.idx
    const isAt = at !== null && at !== undefined
    lines.forEach((line, index) => {
      const value = isAt ? line.values[at] : line.values.findLast(value => value !== null)
      const entry = this.legend.children[index]
      if (entry) setText(entry.lastChild, value === undefined ? '–' : formatValue(value, line.column))
    })
    setText(this.place, isAt && xs[at] !== undefined ? `${x.title} ${label(xs[at])}${this.#others(xs[at])}` : '')
  }

  // What the row of one place says besides, where there is one row a place.
  #others(at) {
    const { x, label, lines } = this.#points
    if (this.#shape.series || !this.#shape.value) return ''
    const row = this.#rows.find(row => formatValue(fieldOf(row.value, x.field), x) === label(at))
    const others = this.#shape.columns.filter(column => column.field !== x.field && column !== lines[0]?.column)
    return row ? others.map(column => ` · ${column.title} ${cellText(row.value, column)}`).join('') : ''
  }

  #summary(label) {
    const { xs, lines, x } = this.#points
    if (xs.length === 0) return `${this.#shape.title}: no rows`
    const last = lines.map(line => `${line.name || line.column.title} ${formatValue(line.values.findLast(value => value !== null) ?? null, line.column)}`)
    return `${this.#shape.title}: line chart over ${x.title}, ${label(xs[0])} to ${label(xs.at(-1))}; last ${last.join(', ')}. Arrow keys read the values.`
  }

  #walk(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key]
    if (!step || !this.#chart) return
    event.preventDefault()
    const { xs, lines } = this.#points
    const from = this.#chart.cursor.idx ?? (step > 0 ? -1 : xs.length)
    const at = Math.max(0, Math.min(xs.length - 1, from + step))
    this.#chart.setCursor({ left: this.#chart.valToPos(xs[at], 'x'), top: 0 })
    const values = lines.map(line => `${line.name || line.column.title} ${formatValue(line.values[at], line.column)}`)
    this.canvas.setAttribute('aria-label', `${this.#points.label(xs[at])}: ${values.join(', ')}`)
  }
}

// Zero is part of the picture, as lengths would lie without it.
function withZero(_, least, most) {
  if (least === null || most === null) return [0, 1]
  const low = Math.min(0, least)
  const high = Math.max(0, most)
  const room = (high - low || 1) * 0.06
  return [low < 0 ? low - room : 0, high > 0 ? high + room : 0 || room]
}

// Colours as a canvas takes them: variables may hold more than that.
function colours(element) {
  const probe = element.appendChild(el('span', { hidden: true }))
  return name => {
    probe.style.color = `var(${name})`
    return getComputedStyle(probe).color
  }
}
