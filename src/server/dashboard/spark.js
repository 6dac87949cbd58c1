// A small line of what a number was lately.

import { svg } from './dom.js'

const WIDTH = 100
const HEIGHT = 24

/** Keeps `most` values and draws them; `push` adds one. */
export function spark(most) {
  const values = []
  const line = svg('path', { class: 'line', 'vector-effect': 'non-scaling-stroke' })
  const area = svg('path', { class: 'area' })
  const element = svg('svg', { class: 'spark', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' }, area, line)
  const push = (value, floor = Infinity) => {
    values.push(value)
    if (values.length > most) values.shift()
    if (values.length < 2) return
    const least = Math.min(floor, ...values)
    const span = Math.max(...values) - least
    const step = WIDTH / (most - 1)
    const start = WIDTH - (values.length - 1) * step
    const points = values.map((value, index) => {
      const y = HEIGHT - 2 - (span ? ((value - least) / span) * (HEIGHT - 4) : 0)
      return `${(start + index * step).toFixed(2)} ${y.toFixed(2)}`
    })
    line.setAttribute('d', `M${points.join('L')}`)
    area.setAttribute('d', `M${points.join('L')}L${WIDTH} ${HEIGHT}L${start.toFixed(2)} ${HEIGHT}Z`)
  }
  return { element, push }
}
