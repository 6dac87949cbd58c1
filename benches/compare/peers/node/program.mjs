// What a program that measures one engine does: the protocol of ../../program/mod.rs.
//
// An engine is made of a workload's folder and has `install(queries)`, `apply(batch)` and `rows(query)`;
// `load(batch)` and `loaded()` where loading is another matter, `prepare(messages)` where it has a form of
// its own. All may be asynchronous. The clock covers what program/mod.rs says: not the reading and
// parsing of lines.

import { closeSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'

const BATCH = 1000
const AHEAD = 16
const PERCENTILES = [['latency_p50', 0.5, 1], ['latency_p99', 0.99, 100], ['latency_p999', 0.999, 1000]]

/** A file's lines; each is a change: an array of messages. */
class Changes {
  #lines

  constructor(path) {
    this.#lines = lines(path)
  }

  next() {
    const { value, done } = this.#lines.next()
    return done ? undefined : [JSON.parse(value)].flat()
  }

  /** The messages of as many changes as make a batch, and how many changes they are. */
  batch(limit) {
    const messages = []
    let changes = 0
    while (changes < limit && messages.length < BATCH) {
      const change = this.next()
      if (!change) break
      messages.push(...change)
      changes += 1
    }
    return { messages, changes }
  }
}

function* lines(path) {
  const file = openSync(path)
  const buffer = Buffer.alloc(1 << 20)
  let left = Buffer.alloc(0)
  for (;;) {
    const read = readSync(file, buffer)
    if (read === 0) break
    const text = Buffer.concat([left, buffer.subarray(0, read)])
    let start = 0
    for (let end; (end = text.indexOf(10, start)) >= 0; start = end + 1) yield text.toString('utf8', start, end)
    left = text.subarray(start)
  }
  closeSync(file)
}

/** Seconds and messages of up to `limit` changes in batches. */
async function timed(engine, changes, limit, apply) {
  let [seconds, messages, left] = [0, 0, limit]
  for (;;) {
    const prepared = []
    while (prepared.length < AHEAD) {
      const batch = changes.batch(left)
      if (batch.changes === 0) break
      left -= batch.changes
      messages += batch.messages.length
      prepared.push(await engine.prepare(batch.messages))
    }
    if (prepared.length === 0) return { seconds, messages }
    for (const batch of prepared) {
      const start = performance.now()
      await apply(batch)
      seconds += (performance.now() - start) / 1e3
    }
  }
}

async function load(engine, dir) {
  const changes = new Changes(join(dir, 'load.jsonl'))
  const { seconds, messages } = await timed(engine, changes, Infinity, (batch) => engine.load(batch))
  const start = performance.now()
  await engine.loaded()
  return messages / (seconds + (performance.now() - start) / 1e3)
}

async function latencies(engine, changes, count) {
  const prepared = []
  for (let i = 0; i < count; i++) prepared.push(await engine.prepare(changes.next()))
  const steps = []
  for (const change of prepared) {
    const start = performance.now()
    await engine.apply(change)
    steps.push((performance.now() - start) * 1e3)
  }
  steps.sort((a, b) => a - b)
  const enough = PERCENTILES.filter(([, , least]) => steps.length >= least)
  return Object.fromEntries(enough.map(([name, p]) => [name, steps[Math.round((steps.length - 1) * p)]]))
}

function peakMiB() {
  const found = /^VmHWM:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))
  return found ? Number(found[1]) / 1024 : undefined
}

/** The base of engines. */
export class Engine {
  prepare(messages) {
    return messages
  }

  load(batch) {
    return this.apply(batch)
  }

  loaded() {}
}

/** Measures the engine that `make` makes of a workload's folder and name, and ends the process. */
export async function run(make, version) {
  const [dir, names, single, batched, out] = process.argv.slice(2)
  const queries = names.split(',')
  const workload = basename(dir).split('-')[0]
  let engine = await make(dir, workload)
  await engine.install(queries)
  const figures = { load: await load(engine, dir) }
  const changes = new Changes(join(dir, 'changes.jsonl'))
  Object.assign(figures, await latencies(engine, changes, Number(single)))
  const { seconds, messages } = await timed(engine, changes, Number(batched), (batch) => engine.apply(batch))
  if (messages > 0) figures.batch = messages / seconds
  figures.memory = peakMiB()
  for (const query of queries) {
    const rows = await engine.rows(query)
    writeFileSync(join(out, `${query}.jsonl`), rows.map((row) => JSON.stringify(row)).join('\n'))
  }

  engine = await make(dir, workload)
  globalThis.gc?.()
  await load(engine, dir)
  const start = performance.now()
  await engine.install(queries)
  figures.install = performance.now() - start
  process.stdout.write(`${JSON.stringify({ ...figures, version })}\n`, () => process.exit(0))
}

/** The version of an installed package. */
export function versionOf(name) {
  return JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url), 'utf8')).version
}
