// Server-sent events of a response's body.

export interface ServerEvent {
  /** The event's name; `message` if it has none. */
  event: string
  data: string
}

/**
 * The events of a body, in order. What the connection's end cuts off is left out.
 *
 * @param onBytes is called for whatever arrives, comments too
 */
export async function* serverEvents(
  body: ReadableStream<Uint8Array>,
  onBytes: () => void = () => {},
): AsyncGenerator<ServerEvent> {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  let event = ''
  let data: string[] = []
  // Pieces of a line that is not complete; joined once, as a snapshot may come in many.
  let rest: string[] = []
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      onBytes()
      // A line may end with \r\n, and the two may come apart: \r is dropped where it ends a line.
      const lines = decoder.decode(value, { stream: true }).split('\n')
      const last = lines.pop()!
      for (const piece of lines) {
        rest.push(piece)
        const joined = rest.join('')
        rest = []
        const line = joined.endsWith('\r') ? joined.slice(0, -1) : joined
        if (line === '') {
          if (data.length > 0) yield { event: event || 'message', data: data.join('\n') }
          event = ''
          data = []
          continue
        }
        const colon = line.indexOf(':')
        const field = colon < 0 ? line : line.slice(0, colon)
        const text = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
        if (field === 'event') event = text
        else if (field === 'data') data.push(text)
      }
      if (last !== '') rest.push(last)
    }
  } finally {
    await reader.cancel().catch(() => {})
  }
}
