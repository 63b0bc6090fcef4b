import type { Command } from 'commander'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { operatorOf } from '../operator-client.ts'
import { type DataOption, withData } from '../options.ts'

export function proveCommand(program: Command, io: Io, done: (code: ExitCode) => void): void {
  const command = program
    .command('prove')
    .summary('prove one action to an outsider, who verifies it with `verify BUNDLE`')
    .description(
      'Prints a bundle: every entry of the log that the action rests on (request, approval, registry, grant, credential, ' +
        'decision, outcome), each with its proof under one checkpoint with the cosignatures that there are.',
    )
    .argument('<id>', 'a decision, call, credential, grant or request')
  withData(command, io).action(async (id: string, { data }: DataOption) => {
    io.out(await operatorOf(data).text(`/v1/bundle/${encodeURIComponent(id)}`))
    done(exitCodes.ok)
  })
}
