import { Buffer } from 'node:buffer'
import { errorCode } from '@bailiwick/errors'
import type { Position } from '../bus.ts'
import { embeddedBus } from './embedded-bus.ts'

// Run by storage.test.ts under `ulimit -f`, so that a write to the disk fails at some point: node failing-disk-child.ts <dir>.
const report = (line: unknown) => process.stdout.write(`${JSON.stringify(line)}\n`)
const bus = await embeddedBus({
  dir: process.argv[2] ?? '',
  partitions: () => 1,
  retentionMs: () => undefined,
  now: () => 0,
})
const follower = await bus.follow(['topic'], 'start', async () => {})
const failed = follower.failed.catch((error: unknown) => report({ follower: errorCode(error) }))
const publish = (): Promise<Position[]> => bus.publish('topic', [{ key: 'k', bytes: Buffer.alloc(20_000, 'x') }])
let acknowledged = 0
for (let broken = false; !broken; ) {
  await publish().then(
    () => {
      acknowledged += 1
    },
    (error: unknown) => {
      broken = true
      report({ first: errorCode(error), acknowledged })
    },
  )
}
await publish().catch((error: unknown) => report({ next: errorCode(error) }))
await failed
await bus[Symbol.asyncDispose]()
report({ end: 'orderly' })
