// The reference server of Durable Streams, in memory, with its fault injection.
//
// Prints {"url":"http://…"} when it is ready, and ends when its standard input does.

import { DurableStreamTestServer } from '@durable-streams/server'

// Long-polls that time out are part of what is tested, so they do so soon.
const server = new DurableStreamTestServer({ port: 0, longPollTimeout: 500 })
const url = await server.start()
process.stdout.write(`${JSON.stringify({ url })}\n`)

process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
