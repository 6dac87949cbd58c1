// What the page shows below its bar: the wall, the editor, or the plan of a query. The address says which.

import { byId } from './dom.js'

const VIEWS = { wall: 'wall-view', editor: 'editor-view', plan: 'plan-view' }

/** Where a view is, as a link. */
export const toWall = '#'
export const toEditor = name => (name ? `#editor/${encodeURIComponent(name)}` : '#editor')
export const toPlan = name => `#plan/${encodeURIComponent(name)}`

/** `views` has `editor` and `plan`, each with `open(name)` and `close()`; `moved` is called with each change. */
export function views(views, moved) {
  let open = null
  const show = () => {
    const { view, name } = read(location.hash)
    open?.close()
    for (const [known, id] of Object.entries(VIEWS)) byId(id).hidden = known !== view
    document.documentElement.dataset.view = view
    open = views[view] ?? null
    open?.open(name)
    scrollTo(0, 0)
    moved(view)
  }
  addEventListener('hashchange', show)
  addEventListener('pagehide', () => open?.close())
  // From the browser's memory of pages, as it was left.
  addEventListener('pageshow', event => event.persisted && show())
  show()
}

function read(hash) {
  const [view, name] = hash.slice(1).split('/')
  if (!Object.hasOwn(VIEWS, view)) return { view: 'wall' }
  try {
    return { view, name: name === undefined ? undefined : decodeURIComponent(name) }
  } catch {
    return { view }
  }
}
