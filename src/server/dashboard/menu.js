// The menu of a panel: its result as JSON, the command that follows it, its query.

import { address, hasToken, request } from './api.js'
import { el } from './dom.js'
import { showText } from './dialogs.js'
import { toEditor, toPlan } from './views.js'
import { prettyJson } from './format.js'

export function menuOf(entry) {
  const path = `v1/query/${encodeURIComponent(entry.name)}`
  const rows = el('a', { href: address(`${path}/rows`), target: '_blank', rel: 'noopener', text: 'Rows as JSON' })
  // A link cannot carry the token, so its file is fetched here.
  rows.addEventListener('click', event => {
    if (!hasToken()) return
    event.preventDefault()
    save(`${path}/rows`, `${entry.name}.json`).catch(error => showText(entry.name, error.message))
  })
  const item = (text, press) => el('li', {}, el('button', { type: 'button', text, on: { click: press } }))
  const link = (text, href) => el('li', {}, el('a', { href, text }))
  const menu = el(
    'details',
    { class: 'menu' },
    el('summary', { 'aria-label': `More about ${entry.name}`, title: 'More' }, el('span', { 'aria-hidden': 'true', text: '⋯' })),
    el(
      'ul',
      {},
      // What is tried out ends when another view is opened.
      ...(entry.origin === 'trial' ? [] : [link('Plan', toPlan(entry.name)), link('Edit', toEditor(entry.name))]),
      el('li', {}, rows),
      item('Follow with curl', () => showText(`Follow ${entry.name}`, command(path))),
      item('Show the query', () => showText(entry.name, prettyJson(entry.query))),
    ),
  )
  menu.addEventListener('click', event => {
    if (event.target.closest('ul')) menu.open = false
  })
  menu.addEventListener('focusout', event => {
    // Where nothing takes the focus it was a press of the pointer, which comes next.
    if (event.relatedTarget && !menu.contains(event.relatedTarget)) menu.open = false
  })
  menu.addEventListener('keydown', event => {
    if (event.key !== 'Escape' || !menu.open) return
    menu.open = false
    menu.firstElementChild.focus()
    event.stopPropagation()
  })
  return menu
}

/** A press elsewhere closes menus. */
export function closeMenus() {
  document.addEventListener('pointerdown', event => {
    for (const menu of document.querySelectorAll('details.menu[open]')) if (!menu.contains(event.target)) menu.open = false
  })
}

function command(path) {
  const token = hasToken() ? " \\\n  -H 'authorization: Bearer TOKEN'" : ''
  return `curl -N '${address(path)}?offset=-1&live=sse'${token}`
}

async function save(path, name) {
  const file = URL.createObjectURL(await (await request(path)).blob())
  el('a', { href: file, download: name }).click()
  setTimeout(() => URL.revokeObjectURL(file), 10_000)
}
