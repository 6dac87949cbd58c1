// A line chart by uPlot, with the values under the pointer, or the last ones, as its legend.

import { cellText } from '../shape.js'
import { el, setText } from '../dom.js'
import { formatValue } from '../format.js'
import { pointsOf } from './points.js'
import { placesAxis, valuesAxis } from './ticks.js'

const COLOURS = ['--series-1', '--series-2', '--series-3', '--series-4', '--series-5', '--series-6', '--series-7']
const DASHES = [[], [7, 4], [2, 3], [10, 3, 2, 3]]
const MANY_POINTS = 40
const LEAST_HEIGHT = 150
/** Milliseconds a chart may take with each frame; one that takes more gets such a share of the time. */
const LONG = 8
const SHARE = 0.1

export class Line {
  #shape
  #request
  #chart = null
  #points = null
  #next = 0
  #size = null
  #form = ''

  constructor(shape, context) {
    this.#shape = shape
    this.#request = context.request
    this.legend = el('ul', { class: 'legend' })
    this.place = el('p', { class: 'place' })
    this.canvas = el('div', { class: 'canvas', tabindex: '0', role: 'img', on: { keydown: event => this.#walk(event), blur: () => this.#leave() } })
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
  }

  paint(rows) {
    if (!this.#size?.width) return
    // Many points take longer than a frame, so they are drawn less often.
    const start = performance.now()
    if (start < this.#next) return void setTimeout(this.#request, this.#next - start)
    this.empty.hidden = rows.length > 0
    this.#points = pointsOf(this.#shape, rows.slice())
    const { kind, isWhole, xs, lines } = this.#points
    const form = JSON.stringify([kind, isWhole, lines.map(line => line.name), xs.length > MANY_POINTS])
    if (form !== this.#form) {
      this.#form = form
      this.#build()
    } else {
      this.#chart.setData([xs, ...lines.map(line => line.values)])
    }
    this.#read()
    if (document.activeElement !== this.canvas) this.#describe()
    const end = performance.now()
    this.#next = end - start > LONG ? end + (end - start) / SHARE : 0
  }

  #build() {
    const { xs, lines } = this.#points
    this.#chart?.destroy()
    const colour = name => colourOf(this.element, name)
    const strokes = lines.map((_, index) => colour(COLOURS[index % COLOURS.length]))
    const axis = { stroke: colour('--dim'), font: `11px ${getComputedStyle(this.element).fontFamily}`, ticks: { show: false }, grid: { stroke: colour('--hair'), width: 1 } }
    this.#chart = new window.uPlot(
      {
        ...this.#size,
        padding: [10, 14, 0, 0],
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, points: { size: 7, fill: (_, series) => strokes[series - 1] } },
        scales: { x: { time: false, range: withRoom }, y: { range: withZero } },
        axes: [
          { ...axis, ...placesAxis(this.#points, at => this.#points.label(at)), space: 56, size: 26, gap: 4, grid: { show: false } },
          { ...axis, ...valuesAxis(lines[0]?.column), space: 36, size: (_, texts) => Math.max(30, ...(texts ?? []).map(text => 10 + 6.4 * text.length)), gap: 4 },
        ],
        series: [
          {},
          ...lines.map((line, index) => ({
            label: line.name,
            stroke: strokes[index],
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
    const { x, lines, rowAt } = this.#points
    if (this.#shape.series || !this.#shape.value) return ''
    const others = this.#shape.columns.filter(column => column.field !== x.field && column !== lines[0]?.column)
    return others.map(column => ` · ${column.title} ${cellText(rowAt.get(at).value, column)}`).join('')
  }

  #describe() {
    const { xs, lines, x, label } = this.#points
    const last = lines.map(line => `${line.name || line.column.title} ${formatValue(line.values.findLast(value => value !== null) ?? null, line.column)}`)
    const what = xs.length ? `line chart over ${x.title}, ${label(xs[0])} to ${label(xs.at(-1))}; last ${last.join(', ')}. Arrow keys read the values.` : 'no rows'
    this.canvas.setAttribute('aria-label', `${this.#shape.title}: ${what}`)
  }

  #leave() {
    this.#chart?.setCursor({ left: -10, top: -10 })
    if (this.#points) this.#describe()
  }

  #walk(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key]
    if (!step || !this.#chart || !this.#points.xs.length) return
    event.preventDefault()
    const { xs, lines } = this.#points
    const from = this.#chart.cursor.idx ?? (step > 0 ? -1 : xs.length)
    const at = Math.max(0, Math.min(xs.length - 1, from + step))
    this.#chart.setCursor({ left: this.#chart.valToPos(xs[at], 'x'), top: 0 })
    const values = lines.map(line => `${line.name || line.column.title} ${formatValue(line.values[at], line.column)}`)
    this.canvas.setAttribute('aria-label', `${this.#points.label(xs[at])}: ${values.join(', ')}`)
  }
}

// A single place stands in the middle.
const withRoom = (_, least, most) => (least === most ? [least - 1, most + 1] : [least, most])

// Zero is part of the picture, as lengths would lie without it.
function withZero(_, least, most) {
  const low = Math.min(0, least ?? 0)
  const high = Math.max(0, most ?? 0)
  if (low === high) return [0, 1]
  const room = (high - low) * 0.06
  return [low < 0 ? low - room : 0, high > 0 ? high + room : 0]
}

// A colour as a canvas takes it: a variable may hold more than that.
function colourOf(element, name) {
  const probe = element.appendChild(el('span', { hidden: true }))
  probe.style.color = `var(${name})`
  const { color } = getComputedStyle(probe)
  probe.remove()
  return color
}
