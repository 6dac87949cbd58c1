// The picture of a plan: a box a step, an edge for what flows. It is drawn once, and figures are written into it.

import { setText, svg } from '../dom.js'
import { rate } from '../format.js'
import { edge, layout, WIDTH } from './layout.js'
import { detailsOf, figuresOf, nameOf, spoken } from './words.js'

/** Characters of a line of details; what is longer is in the step's tooltip. */
const CHARACTERS = 33
const LINE = 16
const MARGIN = 14
const MOST_DETAILS = 3
/** Where the first line below the head stands, and how far figures are below details. */
const TOP = 40
const APART = 5
/** Two figures stand on a line, unless one of them is longer than so many characters. */
const PER_LINE = 2
const WIDE = 18

const shorten = text => (text.length > CHARACTERS ? `${text.slice(0, CHARACTERS - 1)}…` : text)
const short = step => detailsOf(step).slice(0, MOST_DETAILS)

/** Figures with the line and the place in it where each stands. */
function placed(figures) {
  let cell = 0
  return figures.map(([name, text]) => {
    const isWide = name.length + text.length > WIDE
    if (isWide && cell % PER_LINE) cell++
    const place = { name, text, line: Math.floor(cell / PER_LINE), at: cell % PER_LINE }
    cell += isWide ? PER_LINE : 1
    return place
  })
}

function heightOf(step) {
  const figures = placed(figuresOf(step))
  const lines = short(step).length + (figures.length ? figures.at(-1).line + 1 : 0)
  return TOP + lines * LINE + (figures.length ? APART : 0) - 2
}

export class Picture {
  #boxes = new Map()
  #shape = null
  element = svg('svg', { class: 'picture', role: 'group', 'aria-label': 'The steps of the plan, the result first' })

  /** Shows a plan. What stands where stays there as long as the plan is the same. */
  paint(plan) {
    const { boxes, width, height } = layout(plan, heightOf)
    const shape = boxes.map(({ step, path, height }) => `${path} ${step.operator} ${height} ${short(step).map(({ text }) => text).join()}`).join('\n')
    if (shape !== this.#shape) this.#draw(boxes, width, height)
    this.#shape = shape
    const busiest = Math.max(...boxes.map(({ step }) => step.figures?.perSecond?.busy ?? 0))
    for (const { step, path } of boxes) this.#write(this.#boxes.get(path), step, busiest)
  }

  #draw(boxes, width, height) {
    this.#boxes = new Map()
    const edges = boxes.flatMap(box => box.inputs.map((input, at) => this.#edge(edge(input, box, at, box.inputs.length), input)))
    const drawn = boxes.map(box => this.#box(box))
    const [w, h] = [width + 2 * MARGIN, height + 2 * MARGIN]
    for (const [name, value] of Object.entries({ width: w, height: h, viewBox: `${-MARGIN} ${-MARGIN} ${w} ${h}` })) this.element.setAttribute(name, value)
    const tip = id => svg('marker', { id, markerWidth: 9, markerHeight: 9, refX: 5, refY: 4.5, orient: 'auto', markerUnits: 'userSpaceOnUse' }, svg('path', { d: 'M0 0 9 4.5 0 9z' }))
    this.element.replaceChildren(svg('defs', {}, tip('tip'), tip('tip-flows')), ...edges.map(({ element }) => element), ...drawn)
    for (const { path, element, label } of edges) Object.assign(this.#boxes.get(path), { edge: element, label })
  }

  #edge({ path, x, y }, input) {
    const line = svg('path', { class: 'flow', d: path, 'marker-end': 'url(#tip)' })
    const label = svg('text', { class: 'rate', x: x + 8, y: y + 4 })
    return { path: input.path, element: svg('g', { class: 'edge', 'aria-hidden': 'true' }, line, label), label }
  }

  #box({ step, path, x, y, width, height }) {
    const text = (content, attributes) => svg('text', { ...attributes, text: content })
    const title = svg('title')
    const clause = text(step.clause ?? '', { class: 'clause', x: width - 12, y: 20, 'text-anchor': 'end' })
    const parts = short(step).map(({ name, text: content }, at) => text(shorten(`${name} ${content}`), { class: 'detail', x: 12, y: TOP + at * LINE }))
    const busy = svg('rect', { class: 'busy', x: 0, y: height - 4, width: 0, height: 4 })
    const figures = svg('g', {})
    const element = svg(
      'g',
      { class: 'step', transform: `translate(${x} ${y})`, tabindex: '0', role: 'img', 'data-operator': step.operator },
      title,
      svg('rect', { class: 'back', x: 5, y: 5, width, height, rx: 7 }),
      svg('rect', { class: 'box', width, height, rx: 7 }),
      text(nameOf(step), { class: 'name', x: 12, y: 20 }),
      clause,
      ...parts,
      figures,
      busy,
    )
    const top = TOP + parts.length * LINE + APART
    this.#boxes.set(path, { element, title, figures, busy, top, cells: [] })
    return element
  }

  #write(box, step, busiest) {
    const said = spoken(step)
    if (box.said !== said) {
      box.said = said
      box.element.setAttribute('aria-label', said)
      setText(box.title, said.replaceAll(', ', '\n'))
    }
    box.element.classList.toggle('shared', step.sharedBy > 1)
    this.#figures(box, figuresOf(step))
    const { perSecond } = step.figures ?? {}
    const width = busiest > 0 ? ((perSecond?.busy ?? 0) / busiest) * (WIDTH - 14) : 0
    box.busy.setAttribute('x', 7)
    box.busy.setAttribute('width', Math.max(0, width))
    if (!box.label) return
    const perSecondOut = perSecond?.rowsOut ?? 0
    setText(box.label, perSecond ? `${rate(perSecondOut)}/s` : '')
    box.edge.classList.toggle('flows', perSecondOut > 0)
    box.edge.firstElementChild.setAttribute('marker-end', perSecondOut > 0 ? 'url(#tip-flows)' : 'url(#tip)')
    // A hundred times as many are a line that is two pixels thicker.
    box.edge.firstElementChild.setAttribute('stroke-width', (1.25 + Math.log10(1 + perSecondOut)).toFixed(2))
  }

  #figures(box, figures) {
    placed(figures).forEach(({ name, text, line, at: cell }, at) => {
      const known = (box.cells[at] ??= this.#cell(box))
      known.element.setAttribute('x', 12 + cell * 118)
      known.element.setAttribute('y', box.top + line * LINE)
      setText(known.name, `${name} `)
      setText(known.value, text)
    })
    for (const known of box.cells.splice(figures.length)) known.element.remove()
  }

  #cell(box) {
    const name = svg('tspan', { class: 'label' })
    const value = svg('tspan', { class: 'value' })
    const element = svg('text', { class: 'figure' }, name, value)
    box.figures.append(element)
    return { element, name, value }
  }
}
