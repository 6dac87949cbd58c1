// A text area whose text is in colours: the area is above, transparent, and its twin below shows the same.

import { el } from '../dom.js'
import { coloured } from './highlight.js'

export class Text {
  #marks = []

  /** `changed` is called with each edit. */
  constructor({ label, describedBy, changed }) {
    this.area = el('textarea', {
      'aria-label': label, 'aria-describedby': describedBy, spellcheck: 'false', autocapitalize: 'off', autocomplete: 'off', rows: '8', wrap: 'off',
      placeholder: 'SELECT …',
    })
    this.twin = el('pre', { class: 'twin', 'aria-hidden': 'true' })
    this.element = el('div', { class: 'text' }, this.twin, this.area)
    this.area.addEventListener('input', () => {
      this.#marks = []
      this.#paint()
      changed()
    })
    this.area.addEventListener('scroll', () => this.#follow())
    this.area.addEventListener('keydown', event => this.#key(event))
    this.#paint()
  }

  get value() {
    return this.area.value
  }

  set value(text) {
    this.area.value = text
    this.#marks = []
    this.#paint()
  }

  /** Marks places: `{ start, end, kind }`, of kind `wrong` or `doubtful`. */
  mark(marks) {
    this.#marks = marks
    this.area.setAttribute('aria-invalid', marks.some(({ kind }) => kind === 'wrong'))
    this.#paint()
  }

  /** Puts the cursor at a place, so that it is in sight. */
  goTo({ start, end }) {
    this.area.focus()
    this.area.setSelectionRange(start, end)
  }

  /** Puts a text in the place of what is selected. */
  insert(text) {
    this.area.focus()
    this.area.setRangeText(text, this.area.selectionStart, this.area.selectionEnd, 'end')
    this.area.dispatchEvent(new Event('input'))
  }

  #paint() {
    const lines = this.value.split('\n').length
    this.area.rows = Math.min(24, Math.max(8, lines + 1))
    this.twin.replaceChildren(...coloured(this.value, this.#marks))
    this.#follow()
  }

  #follow() {
    this.twin.scrollTop = this.area.scrollTop
    this.twin.scrollLeft = this.area.scrollLeft
  }

  // A new line begins below the one before. Tab goes on to the next control, as everywhere.
  #key(event) {
    if (event.key !== 'Enter' || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return
    const { selectionStart: at } = this.area
    const line = this.value.slice(this.value.lastIndexOf('\n', at - 1) + 1, at)
    const indent = line.match(/^\s*/)[0]
    if (!indent) return
    event.preventDefault()
    this.insert(`\n${indent}`)
  }
}
