import { benchLogCommand } from './log.ts'

process.exitCode = await benchLogCommand(process.argv.slice(2))
