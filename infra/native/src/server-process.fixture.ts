// A process that starts a server, prints which, and then does nothing: for a test that kills it.
import { join } from 'node:path'
import { startServer } from './server-process.ts'
import { removeAtEnd } from './watchdog.ts'

const [dir = '', how] = process.argv.slice(2)
removeAtEnd(dir)
const command = { name: 'server', program: '/bin/sleep', args: ['1000'], log: join(dir, 'log') }
const gone = startServer(command)
await gone.kill('SIGKILL')
process.stdout.write(`${startServer(command).pid}\n`)
if (how === 'stay') setInterval(() => {}, 1000)
