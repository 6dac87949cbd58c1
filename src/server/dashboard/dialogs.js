// Dialogs: the token, texts to copy, and the list of keys.

import { byId, el } from './dom.js'

/** Asks for a token until there is one. */
export function askToken(reason) {
  const input = el('input', { type: 'password', autocomplete: 'off', required: true, name: 'token' })
  const form = el(
    'form',
    { method: 'dialog' },
    el('h2', { text: 'Token' }),
    el('p', { text: `${sentence(reason)} It is kept until this tab is closed.` }),
    el('label', {}, el('span', { text: 'Bearer token' }), input),
    el('p', { class: 'buttons' }, el('button', { type: 'submit', class: 'primary', text: 'Go on' })),
  )
  const dialog = openDialog(form, 'Token')
  dialog.addEventListener('cancel', event => event.preventDefault())
  return new Promise(resolve => {
    dialog.addEventListener('close', () => {
      dialog.remove()
      resolve(input.value.trim())
    })
  })
}

/** Shows a text that can be copied. */
export function showText(title, text) {
  const copy = el('button', { type: 'button', text: 'Copy' })
  copy.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(text)
      copy.textContent = 'Copied'
    } catch {
      // Without https only by hand: the text is selected.
      getSelection().selectAllChildren(pre)
    }
  })
  const pre = el('pre', { tabindex: '0', text })
  const close = el('button', { type: 'submit', class: 'primary', text: 'Close' })
  const form = el('form', { method: 'dialog' }, el('h2', { text: title }), pre, el('p', { class: 'buttons' }, copy, close))
  const dialog = openDialog(form, title)
  dialog.addEventListener('close', () => dialog.remove())
  dialog.addEventListener('click', event => event.target === dialog && dialog.close())
}

export const showKeys = () => byId('keys').showModal()

/** Opens a dialog with a form. */
export function openDialog(content, label) {
  const dialog = el('dialog', { 'aria-label': label }, content)
  document.body.append(dialog)
  dialog.showModal()
  return dialog
}

const sentence = text => `${text[0].toUpperCase()}${text.slice(1)}${text.endsWith('.') ? '' : '.'}`
