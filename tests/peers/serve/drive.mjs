// Makes changes: appends random events of one collection to a stream of the server, with the unmodified
// @durable-streams/client. The stream is made if it is not there.
//
//     node serve/drive.mjs URL STREAM TYPE [--every MS] [--count N] [--keys N] [--seed N]
//
// Ends after N batches, or with its standard input. What the server refuses or loses is sent again.

import { DurableStream } from '@durable-streams/client'
import { parameters, pause, say } from './say.mjs'

const defaults = { every: 50, count: 1e9, keys: 30, seed: 1 }
const [url, path, type, { every, count, keys, seed }] = parameters('drive.mjs URL STREAM TYPE [--every MS] [--count N]', 3, defaults)

let state = seed
const random = (n) => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0
  return Math.floor((state / 2 ** 32) * n)
}

process.stdin.resume()
process.stdin.on('end', () => process.exit(0))

// A stream that is there is taken as it is.
const stream = await DurableStream.create({ url: `${url}/v1/stream/${path}`, contentType: 'application/json' })
say('driving', { stream: path })
const there = new Set()
for (let batch = 0; batch < count; batch++) {
  const events = []
  for (let i = random(5); i >= 0; i--) {
    const key = `k${random(keys)}`
    if (there.has(key) && random(3) === 0) {
      there.delete(key)
      events.push({ type, key, headers: { operation: 'delete' } })
    } else {
      const operation = there.has(key) ? 'update' : 'insert'
      there.add(key)
      const value = { id: key, n: random(50), kind: 'abc'[random(3)], text: `ü "${random(1000)}"\n\u{1f600}` }
      events.push({ type, key, value, headers: { operation } })
    }
  }
  // The client sends together what is appended meanwhile.
  await Promise.all(events.map((event) => stream.append(JSON.stringify(event))))
  await pause(every)
}
say('done', { batches: count })
process.exit(0)
