import { errorCode } from '@bailiwick/errors'
import { embeddedBus } from './embedded-bus.ts'

// Run by one-process.test.ts over the directory of a bus that is open elsewhere: node locked-child.ts <dir>.
const answer = await embeddedBus({
  dir: process.argv[2] ?? '',
  partitions: () => 1,
  retentionMs: () => undefined,
  now: () => 0,
}).then(() => 'opened', errorCode)
process.stdout.write(`${JSON.stringify(answer)}\n`)
