// The text of a query that is there: its file, or else the query itself.

import { getJson } from '../api.js'
import { prettyJson } from '../format.js'

/** The text to edit; nothing of a query that is not there. */
export async function textOf(name) {
  const [{ queries }, { folder }] = await Promise.all([getJson('v1/query'), getJson('v1/dashboard')])
  const entry = queries.find(entry => entry.name === name)
  if (!entry) return ''
  if (folder && entry.origin === 'file') return (await getJson(`v1/file?${new URLSearchParams({ name })}`)).text
  return prettyJson(entry.query)
}
