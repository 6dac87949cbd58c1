import assert from 'node:assert/strict'
import { test } from 'node:test'
import { serverEvents } from '../dist/sse.js'

const TEXT = ': hello\r\n\r\nevent: data\r\ndata:[{"a":"ü \u{1f600}"},\ndata: 1]\n\nevent: control\ndata:{}\n\n: keep-alive\n\nevent\ndata\n\ndata: cut off'
const EVENTS = [
  { event: 'data', data: '[{"a":"ü \u{1f600}"},\n1]' },
  { event: 'control', data: '{}' },
  { event: 'message', data: '' },
]

test('events come whole, wherever the bytes are cut', async () => {
  const bytes = new TextEncoder().encode(TEXT)
  for (let size = 1; size <= bytes.length; size++) {
    const body = new ReadableStream({
      start(controller) {
        for (let i = 0; i < bytes.length; i += size) controller.enqueue(bytes.slice(i, i + size))
        controller.close()
      },
    })
    let pieces = 0
    const events = []
    for await (const event of serverEvents(body, () => pieces++)) events.push(event)
    assert.deepEqual(events, EVENTS, `in pieces of ${size}`)
    assert.equal(pieces, Math.ceil(bytes.length / size))
  }
})

test('who stops reading cancels the body', async () => {
  let cancelled = false
  const body = new ReadableStream({
    start: (controller) => controller.enqueue(new TextEncoder().encode(TEXT)),
    cancel: () => void (cancelled = true),
  })
  for await (const _ of serverEvents(body)) break
  assert.ok(cancelled)
})
