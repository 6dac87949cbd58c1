// State Protocol messages of an answer, as steps of each query's result.

import { OutOfStep } from './errors.js'

export interface Change {
  operation: 'insert' | 'update' | 'delete'
  key: string
  value: object | undefined
  index: number | undefined
  previousIndex: number | undefined
}

/** A whole result, or what one epoch changed of it. */
export interface Step {
  kind: 'snapshot' | 'epoch'
  epoch: number | undefined
  changes: Change[]
}

interface Message {
  type: string
  key?: string
  value?: object
  headers: { control?: string; operation?: Change['operation']; epoch?: number; index?: number; previousIndex?: number }
}

/** The steps of an answer, in order, by name of the query. */
export function stepsOf(items: unknown): Map<string, Step[]> {
  if (!Array.isArray(items)) throw new OutOfStep('the server sent no array of messages')
  const queries = new Map<string, { steps: Step[]; snapshot: boolean }>()
  for (const { type, key, value, headers } of items as Message[]) {
    let query = queries.get(type)
    if (!query) queries.set(type, (query = { steps: [], snapshot: false }))
    const { steps } = query
    let last = steps.at(-1)
    if (headers.control !== undefined) {
      query.snapshot = headers.control === 'snapshot-start'
      if (query.snapshot) steps.push({ kind: 'snapshot', epoch: headers.epoch, changes: [] })
      continue
    }
    const { operation, epoch, index, previousIndex } = headers
    if (key === undefined || operation === undefined || (operation !== 'delete' && !value)) {
      throw new OutOfStep(`the server sent a message of "${type}" without key, operation or value`)
    }
    if (!last || (!query.snapshot && (last.kind === 'snapshot' || last.epoch !== epoch))) {
      steps.push((last = { kind: 'epoch', epoch, changes: [] }))
    }
    last.epoch = epoch
    last.changes.push({ operation, key, value, index, previousIndex })
  }
  const steps = new Map<string, Step[]>()
  for (const [name, query] of queries) {
    if (query.snapshot) throw new OutOfStep(`the server sent half a snapshot of "${name}"`)
    steps.set(name, query.steps)
  }
  return steps
}
