// Words that say how things stand, and delays: which tone they have. The mark beside them has a shape of its own.

const TONES = {
  good: ['arrived', 'landed', 'on time', 'ok', 'done', 'live', 'up', 'active', 'completed', 'success', 'succeeded', 'delivered', 'paid', 'healthy', 'ready'],
  busy: ['departed', 'boarding', 'in the air', 'running', 'started', 'in progress', 'processing', 'shipped', 'open'],
  still: ['scheduled', 'queued', 'pending', 'waiting', 'new', 'ended', 'closed', 'inactive', 'idle', 'unknown'],
  warn: ['delayed', 'late', 'stale', 'warning', 'degraded', 'retrying', 'diverted', 'blocked'],
  bad: ['cancelled', 'canceled', 'failed', 'error', 'rejected', 'down', 'crashed', 'overdue', 'unhealthy', 'critical'],
}
const TONE_OF = new Map(Object.entries(TONES).flatMap(([tone, words]) => words.map(word => [word, tone])))

/** Whether a column holds such words, by its name. */
export const isStatusField = field => /(^|\.)(status|state)$|(Status|State)$/.test(field)

export const isDelayField = ({ field, format }) => format === 'minutes' && /delay/i.test(field)

/** The tone of a word; a plain one for other words. */
export const toneOfWord = word => (typeof word === 'string' ? (TONE_OF.get(word.toLowerCase().replace(/[_-]/g, ' ')) ?? 'still') : undefined)

/** The tone of a delay in minutes; none for what nobody minds. */
export const toneOfDelay = minutes => (typeof minutes !== 'number' ? undefined : minutes >= 60 ? 'bad' : minutes >= 15 ? 'warn' : undefined)
