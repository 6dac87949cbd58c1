// A list whose middle is cheap to change: chunks of rows, so that 100,000 rows take 10,000 changes a second.

const MOST = 1024

export class Sequence {
  #chunks
  #length
  /** Becomes another number with each change. */
  version = 0

  constructor(items = []) {
    this.#chunks = []
    for (let start = 0; start < items.length; start += MOST / 2) this.#chunks.push(items.slice(start, start + MOST / 2))
    if (this.#chunks.length === 0) this.#chunks.push([])
    this.#length = items.length
  }

  get length() {
    return this.#length
  }

  /** The item at a place, undefined outside. */
  at(index) {
    if (!(index >= 0 && index < this.#length)) return undefined
    const [chunk, place] = this.#find(index)
    return this.#chunks[chunk][place]
  }

  set(index, item) {
    const [chunk, place] = this.#find(index)
    this.#chunks[chunk][place] = item
    this.version++
  }

  /** Puts an item before the one at `index`, or at the end. */
  insert(index, item) {
    const [number, place] = this.#find(index)
    const chunk = this.#chunks[number]
    chunk.splice(place, 0, item)
    this.#length++
    this.version++
    if (chunk.length > MOST) this.#chunks.splice(number + 1, 0, chunk.splice(MOST / 2))
  }

  /** Takes out the item at `index` and returns it. */
  remove(index) {
    const [number, place] = this.#find(index)
    const chunk = this.#chunks[number]
    const [item] = chunk.splice(place, 1)
    this.#length--
    this.version++
    if (chunk.length === 0 && this.#chunks.length > 1) this.#chunks.splice(number, 1)
    return item
  }

  /** The items of a range, as an array. */
  slice(from = 0, to = this.#length) {
    const items = []
    let [number, place] = this.#find(Math.max(0, from))
    const count = Math.min(to, this.#length) - Math.max(0, from)
    while (items.length < count) {
      const chunk = this.#chunks[number++]
      const end = Math.min(chunk.length, place + count - items.length)
      while (place < end) items.push(chunk[place++])
      place = 0
    }
    return items
  }

  /** The least place at which `isAfter(item)` is true of a list where it is false first and true then. */
  search(isAfter) {
    let low = 0
    let high = this.#length
    while (low < high) {
      const middle = (low + high) >> 1
      if (isAfter(this.at(middle))) high = middle
      else low = middle + 1
    }
    return low
  }

  *[Symbol.iterator]() {
    for (const chunk of this.#chunks) yield* chunk
  }

  // Where an index is; the end of the list is the end of its last chunk.
  #find(index) {
    let number = 0
    const last = this.#chunks.length - 1
    while (number < last && index >= this.#chunks[number].length) index -= this.#chunks[number++].length
    return [number, Math.min(index, this.#chunks[number].length)]
  }
}
