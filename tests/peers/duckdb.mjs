// Random queries answered by DuckDB, for comparison with Tailwater: see README.md.
//
// Each line of standard input is `{"seed":N,"features":[…]}` or `{"case":{"query":…,"batches":…}}`; the
// answer is one line `{"case","sql","snapshots"}` with the result rows after each batch, or `{"skip"}`.

import { createInterface } from 'node:readline'
import { DuckDBInstance } from '@duckdb/node-api'
import { Skip } from './duckdb/functions.mjs'
import { Generator } from './duckdb/generate.mjs'
import { history } from './duckdb/history.mjs'
import { Random } from './duckdb/random.mjs'
import { TABLES, applyBatch, createTable } from './duckdb/schema.mjs'
import { translate } from './duckdb/translate.mjs'

const instance = await DuckDBInstance.create(':memory:', { threads: '1' })
const connection = await instance.connect()
// The plan is the query as it stands: less that may be wrong, and faster over so few rows.
await connection.run('PRAGMA disable_optimizer')

/** A case that SQL can say and that has rows in the end, if there is one in a few tries. */
async function generate(seed, features) {
  const random = new Random(seed)
  const absent = random.pick(['null', 'missing', 'both'])
  let answer
  for (let tries = 0; tries < 8; tries++) {
    const query = new Generator(random, absent, features).query()
    const batches = history(random, absent, usedTables(query))
    const found = await attempt({ query, batches })
    if (!found.skip) answer = found
    else answer ??= found
    if (!found.skip && (found.snapshots.some((rows) => rows.length > 1) || random.chance(0.2))) break
  }
  return answer
}

function usedTables(query) {
  const text = JSON.stringify(query)
  return TABLES.filter((table) => text.includes(`"${table}"`))
}

async function attempt({ query, batches }) {
  try {
    const { sql, columns } = translate(query)
    await connection.run(TABLES.map(createTable).join('\n'))
    const snapshots = []
    for (const batch of batches) {
      const reader = await connection.runAndReadAll(`${applyBatch(batch)}\n${sql}`)
      snapshots.push(reader.getRowsJS().map((row) => object(row, columns)))
    }
    return { case: { query, batches }, sql, snapshots }
  } catch (error) {
    // DuckDB's own refusals too: overflows, or a shrunk query that makes no sense.
    return { skip: error instanceof Skip ? error.message : `${error}` }
  }
}

/** A row as our results have it, from columns named by dotted paths; key columns come after them. */
function object(row, columns) {
  const result = {}
  columns.forEach((path, n) => {
    const names = path.split('.')
    const last = names.pop()
    let place = result
    for (const name of names) place = place[name] ??= {}
    place[last] = row[n]
  })
  return result
}

const json = (value) => JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? Number(v) : v))

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line)
  const answer = request.case ? await attempt(request.case) : await generate(request.seed, request.features ?? [])
  process.stdout.write(`${json(answer)}\n`)
}
process.exit(0)
