import { createRequire } from 'node:module'
import { setTimeout as pause } from 'node:timers/promises'
import { kafkaClient } from './client.ts'

// Run by client.test.ts: a kafkajs consumer must end while its fetchers restart because a broker joined.

const Runner = createRequire(import.meta.url)('kafkajs/src/consumer/runner')
kafkaClient({ brokers: ['127.0.0.1:1'], clientId: 'ending' }, () => {})
const quiet: object = { debug() {}, info() {}, warn() {}, error() {}, namespace: () => quiet }
let brokers = [1, 2]
const runner = new Runner({
  logger: quiet,
  consumerGroup: {
    getNodeIds: () => brokers,
    // The second broker is slow, and the first one's result waits for it.
    fetch: (broker: number) => pause(broker === 1 ? 100 : 400, []),
    heartbeat: async () => {},
    leave: async () => {},
  },
  instrumentationEmitter: { emit() {} },
  concurrency: 1,
  eachBatch: async () => {},
  onCrash: (error: unknown) => process.stdout.write(`crashed: ${error}\n`),
  retry: { initialRetryTime: 10, retries: 3 },
})
runner.running = true
runner.scheduleFetchManager()
await pause(150)
brokers = [1, 2, 3]
await pause(100)
await runner.stop()
process.stdout.write('ended\n')
