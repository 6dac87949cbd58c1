// A panel: a query's title, figures, status and menu around its chart.

import { el, setText } from './dom.js'
import { count, duration, rate } from './format.js'
import { menuOf } from './menu.js'
import { kinds, widthOf } from './panels/kinds.js'
import { sampled, shapeOf } from './shape.js'
import { Latency, Meter } from './stats.js'
import { badge } from './status.js'

let made = 0

const near = { rootMargin: '200px' }
const EMPTY = { touched: new Map(), replaced: true }

export class Panel {
  #result = null
  #view = null
  #shape
  #search = ''
  #isNear = false
  #isDirty = true

  /** `entry` is the query in the list, `layout` its place in it; `request` asks for a paint. */
  constructor(entry, layout, request) {
    this.name = entry.name
    this.definition = definitionOf(entry, layout)
    this.meter = new Meter()
    this.latency = new Latency()
    this.request = request
    this.#shape = shapeOf(entry, layout.view ?? entry.view)
    const id = `panel-${++made}`
    this.badge = badge()
    this.rows = el('span')
    this.rate = el('span', { class: 'rate', title: 'Row changes a second' })
    this.late = el('span', { class: 'late', title: 'From the arrival of a change to the screen, median' })
    this.alert = el('p', { class: 'alert', hidden: true })
    this.body = el('div', { class: 'body' }, el('p', { class: 'waiting', text: ' ' }))
    this.element = el(
      'section',
      { class: `panel ${this.#shape.kind}`, 'aria-labelledby': id, 'data-query': entry.name },
      el(
        'header',
        {},
        el('div', { class: 'heading' }, el('h2', { id, text: this.#shape.title }), this.#shape.note && el('p', { class: 'note', text: this.#shape.note })),
        el('div', { class: 'figures' }, this.rows, this.rate, this.late, this.badge.element),
        menuOf(entry),
      ),
      this.alert,
      this.body,
    )
    const width = clamp(layout.width ?? widthOf(this.#shape))
    this.element.style.setProperty('--width', width)
    this.element.classList.toggle('small', width <= 4)
    this.observer = new IntersectionObserver(([{ isIntersecting }]) => {
      this.#isNear = isIntersecting
      if (isIntersecting) request()
    }, near)
    this.observer.observe(this.element)
  }

  /** The result to show from now on. */
  set result(result) {
    this.#result = result
    this.#isDirty = true
  }

  set search(text) {
    this.#search = text
    this.#view?.search?.(text)
    this.#isDirty = true
  }

  destroy() {
    this.observer.disconnect()
    this.#view?.destroy?.()
    this.element.remove()
  }

  /** So many rows of the result changed; none if all were replaced. */
  changed(count, now) {
    this.meter.add(count, now)
    this.#isDirty = true
  }

  /** What changed last had come in at the server at this time. */
  arrived(at) {
    if (this.#isNear) this.latency.arrived(at)
  }

  recolour() {
    this.#view?.recolour?.()
    this.#isDirty = true
  }

  /** Paints what changed, if anybody can see it. */
  paint(now) {
    if (!this.#isDirty || !this.#isNear || !this.#result?.ready) return
    this.#isDirty = false
    const news = this.#result.takeTouched()
    if (!this.#view) this.#begin()
    if (!this.#view) return
    const found = this.#view.paint(this.#result.rows, this.isPainted ? news : EMPTY)
    this.isPainted = true
    this.latency.painted(now)
    const { length } = this.#result.rows
    setText(this.rows, found ? found : `${count(length)} ${length === 1 ? 'row' : 'rows'}`)
  }

  // The chart is made when the columns are known, from the query or from the first rows.
  #begin() {
    const { rows } = this.#result
    const isKnown = this.#shape.columns !== null || rows.length > 0
    if (!isKnown) {
      setText(this.body.firstChild, 'No rows')
      setText(this.rows, '0 rows')
      return
    }
    const shape = sampled(this.#shape, rows.slice(0, 50))
    this.#view = new kinds[shape.kind](shape, { request: () => this.#again() })
    this.#view.search?.(this.#search)
    this.body.replaceChildren(this.#view.element)
  }

  #again() {
    this.#isDirty = true
    this.request()
  }

  /** The figures that go on without a paint; `status` as in the list. */
  figures(status, note, now) {
    const perSecond = this.meter.perSecond(now)
    const late = this.latency.median()
    setText(this.rate, `${rate(perSecond)}/s`)
    setText(this.late, late === null ? '' : duration(late))
    this.badge.show(status)
    this.element.dataset.state = status.state
    this.alert.hidden = !note
    setText(this.alert, note ?? '')
    if (!this.#result?.ready && !this.#view) setText(this.body.firstChild, waiting[status.state] ?? ' ')
  }
}

const waiting = { connecting: 'Waiting for the source', loading: 'Catching up', error: 'No rows', live: ' ' }

/** What makes two panels the same one. */
export const definitionOf = ({ name, view, query, columns, ordered }, layout) =>
  JSON.stringify([name, layout.view ?? view, layout.width, query, columns, ordered])

const clamp = width => Math.min(12, Math.max(1, Math.round(Number(width)) || 6))
