// The wall of panels: as the layout says, or every query in order of name.

import { byId, el } from './dom.js'
import { definitionOf, Panel } from './panel.js'

const ANYWHERE = {}

export class Wall {
  #request
  #search = ''
  #wall = byId('wall')
  #more = byId('more')
  #moreWall = byId('more-wall')
  /** Panels in order. */
  panels = []

  /** `request` asks for a paint, `moved` is called when other queries are shown. */
  constructor({ request, moved }) {
    this.#request = request
    this.#more.addEventListener('toggle', moved)
  }

  /** The queries that are shown, of those in the list. */
  shown(queries, layout) {
    const { listed, others } = placed(queries, layout)
    return [...new Set([...listed.map(place => place.entry), ...(this.#more.open ? others.map(place => place.entry) : [])])].filter(Boolean)
  }

  /** Makes the panels those of the list; each keeps its place and state as long as its query is the same. */
  sync({ queries, broken }, layout) {
    const { listed, others } = placed(queries, layout)
    const before = this.panels
    const make = place => {
      if (!place.entry) return { element: missing(place.query), name: null }
      const definition = definitionOf(place.entry, place.layout)
      const at = before.findIndex(panel => panel.definition === definition)
      if (at >= 0) return before.splice(at, 1)[0]
      const panel = new Panel(place.entry, place.layout, this.#request)
      panel.search = this.#search
      return panel
    }
    const main = listed.map(make)
    const more = this.#more.open ? others.map(make) : []
    for (const panel of before) panel.destroy()
    this.panels = [...main, ...more].filter(panel => panel.name !== null)
    const notes = [...(broken.length ? [brokenFiles(broken)] : []), ...(queries.length || broken.length ? [] : [noQueries()])]
    arrange(this.#wall, [...notes, ...main.map(panel => panel.element)])
    arrange(this.#moreWall, more.map(panel => panel.element))
    this.#more.hidden = others.length === 0
    this.#more.firstElementChild.textContent = others.length === 1 ? 'One more query' : `${others.length} more queries`
  }

  set search(text) {
    this.#search = text
    for (const panel of this.panels) panel.search = text
  }
}

// Where each query stands: in the layout, or below it.
function placed(queries, layout) {
  const byName = new Map(queries.map(entry => [entry.name, entry]))
  const free = entry => ({ entry, layout: ANYWHERE, query: entry.name })
  if (!Array.isArray(layout?.panels)) return { listed: queries.map(free), others: [] }
  const listed = layout.panels.map(place => ({ entry: byName.get(place.query), layout: place, query: place.query }))
  const named = new Set(listed.map(place => place.query))
  return { listed, others: queries.filter(entry => !named.has(entry.name)).map(free) }
}

// Elements that are in place already are not moved, as that would lose their focus and scrolling. Notes that say
// the same are left alone too.
function arrange(parent, elements) {
  let place = parent.firstElementChild
  for (const element of elements) {
    if (place && element.dataset.note && place.dataset.note === element.dataset.note) place = place.nextElementSibling
    else if (place === element) place = place.nextElementSibling
    else parent.insertBefore(element, place)
  }
  while (place) {
    const next = place.nextElementSibling
    place.remove()
    place = next
  }
}

const note = (kind, id, ...children) => el('section', { class: `panel note ${kind}`, 'data-note': id }, ...children)

const missing = name =>
  note('missing', `missing ${name}`, el('p', {}, 'The layout names a query that is not there: ', el('code', { text: String(name) })))

const brokenFiles = broken =>
  note(
    'broken',
    JSON.stringify(broken),
    el('h2', { text: broken.length === 1 ? 'A query file does not work' : `${broken.length} query files do not work` }),
    el('dl', {}, ...broken.flatMap(({ file, error }) => [el('dt', { text: file }), el('dd', { text: error })])),
  )

const noQueries = () =>
  note(
    'none',
    'none',
    el('h2', { text: 'No queries yet' }),
    el('p', {}, 'Put a query file into the folder that ', el('code', { text: 'tailwater serve --queries' }), ' was given, or register one with ', el('code', { text: 'POST /v1/query' }), '. It shows here as soon as it is there.'),
  )
