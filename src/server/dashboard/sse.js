// Server-sent events of a response body, as `{ event, data }`.

export async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  let parts = []
  let event = ''
  let data = []
  try {
    for (;;) {
      const { value, done } = await reader.read()
      if (done) return
      // Only the new text is searched: a line may be many megabytes, in many pieces.
      let start = 0
      for (let end = value.indexOf('\n'); end >= 0; end = value.indexOf('\n', start)) {
        parts.push(value.slice(start, end))
        const line = parts.join('').replace(/\r$/, '')
        parts = []
        start = end + 1
        if (line === '') {
          if (data.length) yield { event: event || 'message', data: data.join('\n') }
          event = ''
          data = []
        } else if (line.startsWith('data:')) {
          data.push(line.slice(line[5] === ' ' ? 6 : 5))
        } else if (line.startsWith('event:')) {
          event = line.slice(6).trim()
        }
      }
      parts.push(value.slice(start))
    }
  } finally {
    reader.cancel().catch(() => {})
  }
}
