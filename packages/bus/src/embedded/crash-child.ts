import { type CrashWork, doCrashWork } from '../contract/crash-work.ts'
import { embeddedBus } from './embedded-bus.ts'

// Run by embedded-bus.test.ts, to be killed: node crash-child.ts <options of the bus> <work>, both JSON.
const [options = '', work = ''] = process.argv.slice(2)
const { dir, partitions, now } = JSON.parse(options) as { dir: string; partitions: number; now: number }
const bus = await embeddedBus({ dir, partitions: () => partitions, retentionMs: () => undefined, now: () => now })
await doCrashWork(bus, JSON.parse(work) as CrashWork, (line) => process.stdout.write(`${JSON.stringify(line)}\n`))
setInterval(() => {}, 1 << 30)
