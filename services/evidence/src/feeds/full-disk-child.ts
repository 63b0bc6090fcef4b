import { aRecord, records } from './feed.fixture.ts'
import { fileSink } from './file-sink.ts'

// Run by file-sink.test.ts under `ulimit -f`: node full-disk-child.ts <path>. Writes 100 leaves, 7 at a time.
const [path = ''] = process.argv.slice(2)
const sink = fileSink({ path, maxBytes: 1e9, keep: 1, origin: aRecord(0).event.metadata.log_name, bound: 1e6 })
let taken = 0
let failed = ''
while (taken < 100 && failed === '')
  try {
    await sink.deliver(records(taken, Math.min(100, taken + 7)), new AbortController().signal)
    taken = Math.min(100, taken + 7)
  } catch (error) {
    failed = error instanceof Error ? error.message : 'failed'
  }
process.stdout.write(JSON.stringify({ failed, taken }))
