// The work of `cargo bench --bench streams`, done by the npm client as its README recommends.
import { DurableStream, IdempotentProducer, stream } from "@durable-streams/client"

const [kind, base, sizes] = process.argv.slice(2)
const work = JSON.parse(sizes)

const event = (n) => ({
  type: "event",
  key: `${n}`,
  value: { user: n % 10_000, language: "en", bytes: n % 1_999 },
  headers: { operation: "insert" },
})

const fresh = (name) =>
  DurableStream.create({ url: `${base}${name}-${process.pid}`, contentType: "application/json", warnOnHttp: false })

const percentile = (times, percent) => times[Math.floor(((times.length - 1) * percent) / 100)]

async function append() {
  const handle = await fresh("npm-appended")
  const times = []
  for (let n = 0; n < work.appends; n++) {
    const start = performance.now()
    await handle.append(JSON.stringify(event(n)))
    times.push((performance.now() - start) * 1000)
  }
  times.sort((a, b) => a - b)
  return { append_p50: percentile(times, 50), append_p99: percentile(times, 99) }
}

async function produce() {
  const handle = await fresh("npm-produced")
  let failure
  const producer = new IdempotentProducer(handle, "bench", { onError: (error) => (failure = error) })
  const start = performance.now()
  for (let n = 0; n < work.produced; n++) producer.append(JSON.stringify(event(n)))
  await producer.flush()
  if (failure) throw failure
  return { produce: work.produced / ((performance.now() - start) / 1000) }
}

async function catchUp() {
  const start = performance.now()
  // With `live: false` it takes one response, which need not be all there is.
  const response = await stream({ url: `${base}filled`, offset: "-1", live: true, warnOnHttp: false })
  let events = 0
  await new Promise((resolve) => {
    response.subscribeJson((batch) => {
      events += batch.items.length
      if (batch.upToDate) resolve()
    })
  })
  const seconds = (performance.now() - start) / 1000
  if (events !== work.events) throw new Error(`read ${events} events of ${work.events}`)
  let bytes = 0
  for (let n = 0; n < events; n++) bytes += JSON.stringify(event(n)).length
  return {
    catch_up: bytes / 1e6 / seconds,
    catch_up_events: events / seconds,
    client_peak: process.resourceUsage().maxRSS / 1024,
  }
}

const figures = await { append, produce, "catch-up": catchUp }[kind]()
console.log(JSON.stringify(figures))
process.exit(0)
