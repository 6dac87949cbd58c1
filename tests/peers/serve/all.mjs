// Everything here against a running server, while changes are made: registers queries, starts drive.mjs, and runs the
// other programs one after the other. Their lines come out as they are, with the program's name.
//
//     node serve/all.mjs URL [--stream NAME] [--checks N] [--only PROGRAM]

import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { fail, parameters, say, until } from './say.mjs'

const [url, { stream, checks, only }] = parameters('all.mjs URL [--stream NAME] [--checks N] [--only PROGRAM]', 1, { stream: 'peers', checks: 10, only: '' })
const type = 'event'

const ref = (...path) => ({ type: 'ref', path })
const from = { type: 'collectionRef', collection: type, alias: 'e' }
const queries = {
  'peers-rows': { from },
  'peers-top': {
    from,
    orderBy: [{ expression: ref('e', 'n'), compareOptions: { direction: 'desc' } }],
    offset: 2,
    limit: 8,
  },
  'peers-kinds': {
    from,
    groupBy: [ref('e', 'kind')],
    select: { kind: ref('e', 'kind'), n: { type: 'agg', name: 'sum', args: [ref('e', 'n')] } },
  },
}

/** Runs a program; resolves with its exit status. */
function run(program, ...args) {
  const child = spawn(process.execPath, [fileURLToPath(new URL(program, import.meta.url)), ...args.map(String)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  createInterface({ input: child.stdout }).on('line', (line) => process.stdout.write(`${program} ${args[1] ?? ''} ${line}\n`))
  child.status = new Promise((resolve) => child.on('close', resolve))
  return child
}

const drive = run('drive.mjs', url, stream, type)
drive.status.then((status) => fail('changes are made', { status }))
await until('the stream is there', async () => (await fetch(`${url}/v1/stream/${stream}`, { method: 'HEAD' })).ok)
for (const [name, query] of Object.entries(queries)) {
  const response = await fetch(`${url}/v1/query/${name}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query, source: stream }),
  })
  if (!response.ok) fail('the query is taken', { name, status: response.status, text: await response.text() })
}

const programs = [
  ...Object.keys(queries).map((name) => ['stream.mjs', url, name]),
  ...['sse', 'long-poll', 'auto'].map((mode) => ['state-db.mjs', url, 'peers-rows', mode]),
  ['state-db.mjs', url, 'peers-top', 'sse'],
  ['state-db.mjs', url, 'peers-kinds', 'long-poll'],
  ...['sse', 'long-poll', 'auto'].map((mode) => ['live.mjs', url, stream, type, mode]),
  ['page.mjs', url, 'peers-top', stream, type],
]
for (const [program, ...args] of programs) {
  if (only && program !== only) continue
  const status = await run(program, ...args, '--checks', checks).status
  if (status !== 0) fail('a program ends well', { program, args, status })
}
say('done', { programs: programs.length })
process.exit(0)
