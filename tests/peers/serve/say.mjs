// What all programs here share: a JSON line for each check, failing at the first that is wrong, bounded waiting.

import { parseArgs } from 'node:util'

/** Arguments by position and by `--name`; all options have defaults, which say whether they are numbers. */
export function parameters(usage, count, defaults = {}) {
  const options = Object.fromEntries(
    Object.entries(defaults).map(([name, value]) => [name, { type: 'string', default: String(value) }]),
  )
  const { values, positionals } = parseArgs({ allowPositionals: true, options })
  if (positionals.length !== count) {
    process.stderr.write(`usage: node ${usage}\n`)
    process.exit(2)
  }
  const typed = ([name, value]) => [name, typeof defaults[name] === 'number' ? Number(value) : value]
  return [...positionals, Object.fromEntries(Object.entries(values).map(typed))]
}

export function say(check, details = {}) {
  process.stdout.write(`${JSON.stringify({ check, ...details })}\n`)
}

/** Says what is wrong, and ends the program. */
export function fail(check, details = {}) {
  say(check, { failed: true, ...details })
  process.exit(1)
}

process.on('uncaughtException', (error) => fail('no errors', { error: error.stack }))
process.on('unhandledRejection', (error) => fail('no errors', { error: error?.stack ?? String(error) }))

export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))

/** The first truthy answer; the bound, in seconds, is against hanging only. */
export async function until(what, ask, seconds = 60, details = () => ({})) {
  const end = Date.now() + seconds * 1000
  for (;;) {
    const answer = await ask()
    if (answer) return answer
    if (Date.now() > end) fail(what, { waited: `${seconds} s`, ...details() })
    await pause(20)
  }
}
