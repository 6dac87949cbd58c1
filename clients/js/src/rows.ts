// The rows of a result: by key, and in order.

import { deepEquals } from '@tanstack/db'
import { OutOfStep } from './errors.js'
import { compareKeys } from './keys.js'
import type { Change, Step } from './messages.js'

/** What became of a row; `value` is undefined if it is gone. */
export interface RowChange<T> {
  key: string
  value: T | undefined
  previous: T | undefined
}

export class Rows<T extends object> {
  #values = new Map<string, T>()
  #keys: readonly string[] = []
  #epoch: number | undefined

  /** Keys in the result's order; a new array after each change. */
  get keys(): readonly string[] {
    return this.#keys
  }

  /** The last epoch that is in; undefined before the first. */
  get epoch(): number | undefined {
    return this.#epoch
  }

  get(key: string): T | undefined {
    return this.#values.get(key)
  }

  /**
   * Applies the steps of one answer, all or none, and tells what they come to, row by row.
   *
   * @throws OutOfStep if they do not fit; nothing has changed then
   */
  apply(steps: Step[]): RowChange<T>[] {
    const snapshot = steps.some(({ kind }) => kind === 'snapshot')
    // What the steps come to so far, over the rows that stay. A key without a value is gone.
    const changed = new Map<string, T | undefined>()
    let under: ReadonlyMap<string, T> = this.#values
    const has = (key: string) => (changed.has(key) ? changed.get(key) !== undefined : under.has(key))
    let size = under.size
    let keys = this.#keys
    let epoch = this.#epoch
    for (const step of steps) {
      if (step.kind === 'snapshot') {
        under = new Map()
        changed.clear()
        keys = []
        size = 0
      }
      keys = positions(keys, step.changes, has)
      for (const { key, operation, value } of step.changes) {
        const gone = operation === 'delete'
        size += Number(!gone) - Number(has(key))
        changed.set(key, gone ? undefined : (value as T))
      }
      if (keys.length !== size) {
        throw new OutOfStep(`${keys.length} positions for ${size} rows in epoch ${step.epoch}`)
      }
      epoch = step.epoch ?? epoch
    }
    if (snapshot) for (const key of this.#values.keys()) if (!changed.has(key)) changed.set(key, undefined)
    const changes: RowChange<T>[] = []
    for (const [key, value] of changed) {
      const previous = this.#values.get(key)
      // A snapshot repeats most rows; what is equal stays the same object.
      if (previous === value || (previous && value && deepEquals(previous, value))) continue
      changes.push({ key, value, previous })
      if (value === undefined) this.#values.delete(key)
      else this.#values.set(key, value)
    }
    this.#keys = keys
    this.#epoch = epoch
    return changes
  }
}

/** The order of keys after the changes of an epoch; `has` knows the rows before it. */
function positions(keys: readonly string[], changes: Change[], has: (key: string) => boolean): readonly string[] {
  const positional = changes.some(({ index, previousIndex }) => index !== undefined || previousIndex !== undefined)
  return positional ? moved(keys, changes) : sorted(keys, changes, has)
}

/** By the indexes that the server sent: those of removals are before the epoch, the others after it. */
function moved(keys: readonly string[], changes: Change[]): string[] {
  const removed = new Set<number>()
  const placed: { key: string; index: number }[] = []
  for (const { operation, key, index, previousIndex } of changes) {
    if (operation !== 'insert') {
      // An update without positions stays where it is.
      if (previousIndex === undefined && index === undefined && operation === 'update') continue
      if (previousIndex === undefined || keys[previousIndex] !== key) {
        throw new OutOfStep(`no row ${key} at index ${previousIndex}`)
      }
      removed.add(previousIndex)
    }
    if (operation !== 'delete') {
      if (index === undefined) throw new OutOfStep(`no index for row ${key}`)
      placed.push({ key, index })
    }
  }
  const kept = keys.filter((_, i) => !removed.has(i))
  placed.sort((a, b) => a.index - b.index)
  const result: string[] = []
  let next = 0
  for (const { key, index } of placed) {
    while (result.length < index && next < kept.length) result.push(kept[next++]!)
    if (result.length !== index) throw new OutOfStep(`no place for row ${key} at index ${index}`)
    result.push(key)
  }
  while (next < kept.length) result.push(kept[next++]!)
  return result
}

/** By key: the rows of a result without an order. */
function sorted(keys: readonly string[], changes: Change[], has: (key: string) => boolean): readonly string[] {
  const gone = new Set<string>()
  const come = new Set<string>()
  for (const { operation, key } of changes) {
    if (operation === 'delete') {
      come.delete(key)
      gone.add(key)
    } else {
      gone.delete(key)
      if (!has(key)) come.add(key)
    }
  }
  const kept = gone.size === 0 ? keys : keys.filter((key) => !gone.has(key))
  return come.size === 0 ? kept : [...kept, ...come].sort(compareKeys)
}
