// The collections of a workload, by the type of their messages.

export const COLLECTIONS = {
  events: ['users', 'events'],
  headline: ['items'],
  nexmark: ['person', 'auction', 'bid', 'side'],
}
