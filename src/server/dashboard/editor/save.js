// The dialog that asks for a query's name, and whether it is to take the place of another.

import { el, setText } from '../dom.js'
import { openDialog } from '../dialogs.js'

const NAME = '[A-Za-z0-9_\\-][A-Za-z0-9_.\\-]{0,127}'

/**
 * Asks for a name until the query is kept; null if that was given up. `keep(name, replace)` keeps it, and throws
 * if the server says no.
 */
export function askName({ taken, suggested, toFile, isJson, keep }) {
  const input = el('input', { name: 'name', required: true, pattern: NAME, maxlength: '128', autocomplete: 'off', spellcheck: 'false', value: suggested })
  const where = el('p', { class: 'aside' })
  const replace = el('input', { type: 'checkbox', name: 'replace' })
  const ask = el('label', { class: 'check', hidden: true }, replace, el('span', {}))
  const alert = el('p', { class: 'alert', role: 'alert', hidden: true })
  const save = el('button', { type: 'submit', class: 'primary', text: 'Save' })
  const cancel = el('button', { type: 'button', text: 'Cancel' })
  const form = el(
    'form',
    { method: 'dialog' },
    el('h2', { text: 'Save the query' }),
    el('label', {}, el('span', { text: 'Name, of letters, digits, - _ and .' }), input),
    where,
    ask,
    alert,
    el('p', { class: 'buttons' }, cancel, save),
  )
  const show = () => {
    const name = input.value.trim()
    const isTaken = taken.includes(name)
    ask.hidden = !isTaken
    if (!isTaken) replace.checked = false
    save.disabled = isTaken && !replace.checked
    setText(ask.lastElementChild, `Replace the query ${name} that is there`)
    const file = `${name || 'NAME'}.${isJson ? 'json' : 'sql'}`
    setText(where, toFile ? `It becomes the file ${file} in the server’s folder of queries.` : 'The server has no folder of queries: it is kept as if it was sent with POST /v1/query.')
  }
  input.addEventListener('input', show)
  replace.addEventListener('change', show)
  show()
  const dialog = openDialog(form, 'Save the query')
  return new Promise(resolve => {
    let saved = null
    cancel.addEventListener('click', () => dialog.close())
    form.addEventListener('submit', async event => {
      event.preventDefault()
      const name = input.value.trim()
      save.disabled = true
      try {
        await keep(name, replace.checked)
        saved = name
        dialog.close()
      } catch (error) {
        alert.hidden = false
        setText(alert, error.message)
        // Somebody else may have taken the name meanwhile, or a file has it that does not work.
        if (error.status === 409 && !taken.includes(name)) taken.push(name)
        show()
      }
    })
    dialog.addEventListener('close', () => {
      dialog.remove()
      resolve(saved)
    })
  })
}
