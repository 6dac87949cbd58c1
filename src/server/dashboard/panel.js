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
const NO_NEWS = { touched: new Map(), replaced: true }

export class Panel {
  #result = null
  #view = null
  #shape
  #search = ''
  #isNear = false
  #isDirty = true
  #frozen = null
  #isPainted = false
  /** Whether the sides of columns could not be told, without rows. */
  #isBlind = false

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
    this.observer = new IntersectionObserver(entries => {
      this.#isNear = entries.at(-1).isIntersecting
      if (this.#isNear) request()
      else this.latency.forget()
    }, near)
    this.observer.observe(this.element)
  }

  /** The result to show from now on. */
  set result(result) {
    if (result === this.#result) return
    this.#result = result
    this.#isDirty = true
  }

  /** Keeps the rows as they are now, or no longer. */
  freeze(isPaused) {
    this.#frozen = isPaused ? this.#result?.rows.slice() : null
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

  /** Colours are others now. */
  recolour() {
    this.#view?.recolour?.()
    this.#isDirty = true
  }

  /** Everything is to be written anew. */
  renew() {
    this.#view?.destroy?.()
    this.#view = null
    this.#isPainted = false
    this.#isDirty = true
  }

  /** Paints what changed, if anybody can see it; while paused the rows of then. */
  paint(now, isPaused) {
    if (!this.#isDirty || !this.#isNear || !this.#result?.ready) return
    this.#isDirty = false
    if (isPaused) this.#frozen ??= this.#result.rows.slice()
    const rows = this.#frozen ?? this.#result.rows
    if (!this.#view || (this.#isBlind && rows.length > 0)) this.#begin(rows)
    if (!this.#view) return
    // What is there from the start is no news.
    const news = isPaused ? NO_NEWS : this.#result.takeTouched()
    const found = this.#view.paint(rows, this.#isPainted ? news : NO_NEWS)
    this.#isPainted = true
    this.latency.painted(now)
    const { length } = rows
    setText(this.rows, found ? found : `${count(length)} ${length === 1 ? 'row' : 'rows'}`)
  }

  // The chart is made when the columns are known, from the query or from the first rows.
  #begin(rows) {
    const isKnown = this.#shape.columns !== null || rows.length > 0
    if (!isKnown) {
      setText(this.body.firstChild, 'No rows')
      setText(this.rows, '0 rows')
      return
    }
    const shape = sampled(this.#shape, rows.slice(0, 50))
    this.#isBlind = rows.length === 0 && shape.columns.some(column => !column.align)
    this.#view?.destroy?.()
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
