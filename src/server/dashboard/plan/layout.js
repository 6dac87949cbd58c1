// Where the steps of a plan stand in its picture: the result on top, what it reads below, data flowing up.

export const WIDTH = 248
const GAP = 26
const RISE = 54

/**
 * Steps with places: `{ step, path, x, y, width, height, parent }`, in the order of reading, and how large the
 * picture is. `heightOf(step)` says how high a step is.
 */
export function layout(plan, heightOf) {
  const boxes = []
  const levels = []
  const measure = (step, path, level, parent) => {
    const box = { step, path, level, parent, width: WIDTH, height: heightOf(step), inputs: [] }
    boxes.push(box)
    levels[level] = Math.max(levels[level] ?? 0, box.height)
    box.inputs = step.inputs.map((input, at) => measure(input, `${path}.${at}`, level + 1, box))
    return box
  }
  const root = measure(plan, '0', 0, null)
  let free = 0
  const place = box => {
    box.inputs.forEach(place)
    if (box.inputs.length === 0) {
      box.x = free
      free += WIDTH + GAP
    } else {
      box.x = (box.inputs[0].x + box.inputs.at(-1).x) / 2
    }
  }
  place(root)
  const tops = [0]
  for (let level = 0; level + 1 < levels.length; level++) tops.push(tops[level] + levels[level] + RISE)
  for (const box of boxes) box.y = tops[box.level]
  return { boxes, width: Math.max(WIDTH, free - GAP), height: tops.at(-1) + levels.at(-1) }
}

/** The path of an edge from an input up to the step that reads it; `at` of `count` inputs. */
export function edge(from, to, at, count) {
  const x1 = from.x + from.width / 2
  const y1 = from.y
  const x2 = to.x + (to.width * (at + 1)) / (count + 1)
  const y2 = to.y + to.height
  const middle = (y1 + y2) / 2
  return { path: `M${x1} ${y1}C${x1} ${middle} ${x2} ${middle} ${x2} ${y2 + 4}`, x: (x1 + x2) / 2, y: middle }
}
