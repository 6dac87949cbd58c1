// The editor: a query as text, what it is, what is wrong with it where, its live result, and a name to keep it by.

import { getJson, postJson, request } from '../api.js'
import { byId, el, marked, setText } from '../dom.js'
import { count } from '../format.js'
import { toPlan, toWall } from '../views.js'
import { isJson, rangeOf } from './highlight.js'
import { tryOut } from './result.js'
import { askName } from './save.js'
import { Text } from './text.js'

const STORED = 'tailwater-draft'
/** So long after the last key the text is looked at. */
const PAUSE = 250

export class Editor {
  #options
  #text
  #trial = null
  #turn = 0
  #timer = null
  #source
  #isOpen = false

  /**
   * `options` has `list()`, the queries of the server, `canSave()`, whether it has a folder of queries, `ask`, which
   * asks for a paint, and `saved()`.
   */
  constructor(options) {
    this.#options = options
    this.#text = new Text({ label: 'Query', describedBy: 'editor-says', changed: () => this.#changed() })
    byId('editor-text').append(this.#text.element)
    byId('editor-run').addEventListener('click', () => this.run())
    byId('editor-save').addEventListener('click', () => this.#save())
    byId('editor-view').addEventListener('keydown', event => {
      if (!(event.ctrlKey || event.metaKey)) return
      if (event.key === 'Enter') this.run()
      else if (event.key === 's') this.#save()
      else return
      event.preventDefault()
    })
  }

  /** Panels to be painted. */
  get panels() {
    return this.#trial ? [this.#trial.panel] : []
  }

  figures(now) {
    this.#trial?.figures(now)
  }

  /** Opens it with the text of a query, or with what was last written. */
  async open(name) {
    this.#isOpen = true
    this.#source = name
    this.#showCollections()
    this.#text.value = (name === undefined && sessionStorage.getItem(STORED)) || ''
    this.#text.area.focus({ preventScroll: true })
    if (name === undefined || (await this.#load(name))) await this.#check()
  }

  // The text of a query; whether it came. Meanwhile nothing is written that it would take the place of.
  async #load(name) {
    const turn = ++this.#turn
    const { area } = this.#text
    area.readOnly = true
    try {
      const text = await this.#options.textOf(name)
      if (turn === this.#turn) this.#text.value = text
      return turn === this.#turn
    } catch (error) {
      if (turn === this.#turn) this.#say('bad', error.message)
      return false
    } finally {
      if (turn === this.#turn) area.readOnly = false
    }
  }

  /** Leaves it: what was tried out ends. */
  close() {
    this.#isOpen = false
    clearTimeout(this.#timer)
    this.#turn++
    this.#text.area.readOnly = false
    this.#end()
  }

  async run() {
    const text = this.#text.value
    this.#keep()
    if (!(await this.#check())) return
    const turn = ++this.#turn
    byId('editor-run').disabled = true
    try {
      const trial = await tryOut(text, { ask: this.#options.ask, gone: () => this.#gone(trial) })
      if (turn !== this.#turn || !this.#isOpen) return trial.end()
      this.#end()
      this.#trial = trial
      const plan = el('a', { href: toPlan(trial.name), target: '_blank', text: 'Its plan, while it runs' })
      byId('editor-result').replaceChildren(trial.panel.element, el('p', { class: 'aside' }, plan))
      this.#options.ask()
    } catch (error) {
      if (turn === this.#turn) this.#say('bad', error.message)
    } finally {
      byId('editor-run').disabled = false
    }
  }

  #gone(trial) {
    if (this.#trial !== trial) return
    this.#end()
    this.#say('warn', 'The server has ended the query. Run it again.')
  }

  #end() {
    this.#trial?.end()
    this.#trial = null
    byId('editor-result').replaceChildren()
  }

  #keep() {
    if (this.#source === undefined) sessionStorage.setItem(STORED, this.#text.value)
  }

  #changed() {
    this.#keep()
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#check(), PAUSE)
  }

  // Asks what the text is; whether it is a query.
  async #check() {
    clearTimeout(this.#timer)
    const text = this.#text.value
    const run = byId('editor-run')
    setText(byId('editor-language'), text.trim() === '' ? '' : isJson(text) ? 'JSON' : 'SQL')
    if (text.trim() === '') {
      this.#text.mark([])
      this.#columns([])
      byId('editor-moves').hidden = true
      this.#say('still', 'Write a query over the collections; it is looked at as you write.')
      run.disabled = byId('editor-save').disabled = true
      return false
    }
    let checked
    try {
      checked = await postJson('v1/check', { text })
    } catch (error) {
      this.#say('bad', error.message)
      return false
    }
    if (text !== this.#text.value) return false
    const { error, warnings = [], columns = [], notes = [] } = checked
    const faults = error ? [{ ...error, kind: 'wrong' }] : warnings.map(warning => ({ ...warning, kind: 'doubtful' }))
    this.#text.mark(faults.flatMap(fault => {
      const range = rangeOf(text, fault)
      return range ? [{ ...range, kind: fault.kind }] : []
    }))
    this.#columns(error ? [] : columns)
    run.disabled = byId('editor-save').disabled = Boolean(error)
    if (faults.length) this.#fault(text, faults[0])
    else this.#say('good', `A query of ${columns.length ? `${columns.length} ${columns.length === 1 ? 'column' : 'columns'}` : 'whole rows'}.`)
    byId('editor-notes').replaceChildren(...notes.map(note => el('li', { text: note })))
    byId('editor-moves').hidden = notes.length === 0
    return !error
  }

  #fault(text, fault) {
    const tone = fault.kind === 'wrong' ? 'bad' : 'warn'
    const range = rangeOf(text, fault)
    const place = range && el('button', { type: 'button', class: 'place', text: `line ${fault.line}, column ${fault.column}`, on: { click: () => this.#text.goTo(range) } })
    this.#say(tone, sentence(fault.message), fault.hint && el('span', { class: 'hint' }, ...marked(sentence(fault.hint))), place)
  }

  #say(tone, text, ...more) {
    const says = byId('editor-says')
    says.dataset.tone = tone
    says.replaceChildren(el('span', {}, el('span', {}, ...marked(text))), ...more.filter(Boolean))
  }

  #columns(names) {
    byId('editor-columns').replaceChildren(...names.map(name => el('li', { text: name })))
  }

  async #showCollections() {
    let collections
    try {
      ;({ collections } = await getJson('v1/collections'))
    } catch (error) {
      return byId('editor-collections').replaceChildren(el('p', { class: 'aside', text: error.message }))
    }
    const insert = text => () => (this.#text.value.trim() === '' ? this.#text.insert(`SELECT *\nFROM ${text}`) : this.#text.insert(text))
    byId('editor-collections').replaceChildren(
      ...collections.map(({ name, rows, columns }) =>
        el(
          'details',
          {},
          el('summary', {}, el('span', { text: name }), el('span', { class: 'aside', text: `${count(rows)} ${rows === 1 ? 'row' : 'rows'}` })),
          el(
            'ul',
            {},
            el('li', {}, el('button', { type: 'button', class: 'whole', text: `Query ${name}`, on: { click: insert(quoted(name)) } })),
            ...columns.map(column => el('li', {}, el('button', { type: 'button', text: column, on: { click: () => this.#text.insert(quoted(column)) } }))),
          ),
        ),
      ),
      collections.length ? '' : el('p', { class: 'aside', text: 'No events came so far.' }),
    )
  }

  async #save() {
    const text = this.#text.value
    if (text.trim() === '' || !(await this.#check())) return
    const taken = this.#options.list().map(({ name }) => name)
    const toFile = this.#options.canSave()
    const known = taken.includes(this.#source) ? this.#source : ''
    const name = await askName({ taken, suggested: known, toFile, isJson: isJson(text), keep: (name, replace) => keep({ name, text, replace, toFile }) })
    if (name === null) return
    sessionStorage.removeItem(STORED)
    this.#options.saved()
    location.hash = toWall
  }
}

// Keeps a query as a file or, where the server has no folder of them, in the server alone.
async function keep({ name, text, replace, toFile }) {
  if (toFile) return postJson('v1/file', { name, text, replace })
  const query = isJson(text) ? JSON.parse(text) : text
  const method = replace ? 'PUT' : 'POST'
  const path = replace ? `v1/query/${encodeURIComponent(name)}` : 'v1/query'
  const { source, view, ...clauses } = isJson(text) ? query : {}
  const body = { name, query: isJson(text) ? clauses : text, source, view }
  return request(path, { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
}

const sentence = text => text[0].toUpperCase() + text.slice(1)
const quoted = name => (/^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`)
