// What the types of results are; checked by `npm test`, never run.

import { count, eq, type Collection } from '@tanstack/db'
import { createTailwater, func, remoteCollection } from '../dist/index.js'

interface Flight {
  id: string
  carrier: string
  delay: number
}

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
function holds<_T extends true>(): void {}

const tailwater = createTailwater({ url: 'http://127.0.0.1:1' })
const flights = remoteCollection<Flight>('flights')

const totals = tailwater.live({
  query: (q) =>
    q
      .from({ f: flights })
      .where(({ f }) => eq(f.carrier, 'OS'))
      .groupBy(({ f }) => f.carrier)
      .select(({ f }) => ({ carrier: f.carrier, flights: count(f.id) })),
})
const first = totals.rows[0]!
holds<Same<typeof first.carrier, string>>()
holds<Same<typeof first.flights, number>>()
holds<Same<typeof totals.collection, Collection<typeof first, string>>>()
// @ts-expect-error there is no such field
first.delay

// @ts-expect-error there is no such field
tailwater.live({ query: (q) => q.from({ f: flights }).where(({ f }) => eq(f.origin, 'VIE')) })

const hours = tailwater.live({
  query: (q) => q.from({ f: flights }).select(({ f }) => ({ hour: func<number>('dateTrunc', 'hour', f.delay) })),
})
holds<Same<(typeof hours.rows)[number]['hour'], number>>()

const named = tailwater.live<Flight>({ name: 'late' })
holds<Same<(typeof named.rows)[number], Flight>>()
