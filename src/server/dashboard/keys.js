// Keys: single letters that press what has `data-key`, and the way into and out of the search.

import { showKeys } from './dialogs.js'

export function keys(search) {
  document.addEventListener('keydown', event => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return
    if (event.target === search) {
      if (event.key !== 'Escape') return
      search.value = ''
      search.dispatchEvent(new Event('input'))
      search.blur()
      return
    }
    if (event.target.matches('input, select, textarea')) return
    if (event.key === '/') search.focus()
    else if (event.key === '?') showKeys()
    else {
      const button = /^[a-z]$/.test(event.key) && document.querySelector(`[data-key="${event.key}"]:not([hidden])`)
      if (!button) return
      button.click()
    }
    event.preventDefault()
  })
}
