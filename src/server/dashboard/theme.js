// Light, dark, or as the system has it.

const STORED = 'tailwater-theme'
const NEXT = { system: 'light', light: 'dark', dark: 'system' }
const root = document.documentElement

/** A press of the button goes on to the next theme; `changed` is called with each, also the system's. */
export function themes(button, changed) {
  const show = () => {
    const theme = root.dataset.theme ?? 'system'
    button.dataset.theme = theme
    const label = `Theme: ${theme}`
    button.setAttribute('aria-label', label)
    button.title = `${label} (t)`
  }
  button.addEventListener('click', () => {
    const theme = NEXT[root.dataset.theme ?? 'system']
    if (theme === 'system') {
      delete root.dataset.theme
      localStorage.removeItem(STORED)
    } else {
      root.dataset.theme = theme
      localStorage.setItem(STORED, theme)
    }
    show()
    changed()
  })
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', changed)
  show()
}
