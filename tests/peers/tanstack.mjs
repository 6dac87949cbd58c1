// TanStack DB as an oracle: reads JSON lines on stdin and answers each with one on stdout.
//
//   {"seed":N}                    → {"case":{"query":…,"batches":[[…],…]},"snapshots":[[{"key","value"},…],…]}
//   {"case":…}, "fresh":true too  → {"snapshots":…}
//   what it cannot answer         → {"skip":"reason"}
//
// `snapshots` holds the result before the first batch and after each, so one more than there are
// batches. `fresh` asks a new live query at each step instead of one that followed the history; `raw`
// answers also what is known to differ.

// Times without a zone are local in JavaScript.
process.env.TZ = 'UTC'

import { createInterface } from 'node:readline'
import { generate } from './tanstack/generate.mjs'
import { run } from './tanstack/run.mjs'

function answer(request) {
  if (request.case) return { snapshots: run(request.case, request) }
  let reply
  // A case that never has a row says little: it gives way to another.
  for (const variant of [0, 1, 2]) {
    const generated = generate(request.seed * 3 + variant)
    // TanStack changes objects in rows at times.
    reply = { case: generated, snapshots: run(structuredClone(generated)) }
    if (reply.snapshots.some(rows => rows.length > 0)) break
  }
  return reply
}

for await (const line of createInterface({ input: process.stdin })) {
  let reply
  try {
    reply = answer(JSON.parse(line))
  } catch (error) {
    reply = { skip: error.message }
    if (process.env.PEER_DEBUG) reply.stack = error.stack
  }
  process.stdout.write(JSON.stringify(reply) + '\n')
}
