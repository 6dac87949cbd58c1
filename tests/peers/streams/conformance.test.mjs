// The protocol's own tests, against the server at SERVER_URL.
import { runConformanceTests } from "@durable-streams/server-conformance-tests"

runConformanceTests({
  baseUrl: process.env.SERVER_URL,
  longPollTimeoutMs: 10_000,
  subscriptions: false,
})
