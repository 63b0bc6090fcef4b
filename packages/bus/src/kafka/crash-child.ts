import { type CrashWork, doCrashWork } from '../contract/crash-work.ts'
import { kafkaBus } from './kafka-bus.ts'

// Run by kafka-bus.int.test.ts, to be killed: node crash-child.ts <brokers> <work>, both JSON.
const [brokers = '', work = ''] = process.argv.slice(2)
const logger = { debug() {}, info() {}, warn() {}, error() {} }
const connection = { brokers: JSON.parse(brokers) as string[], clientId: 'crash-child' }
const bus = await kafkaBus({ connection, logger })
await doCrashWork(bus, JSON.parse(work) as CrashWork, (line) => process.stdout.write(`${JSON.stringify(line)}\n`))
setInterval(() => {}, 1 << 30)
