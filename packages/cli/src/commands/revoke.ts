import { revocationKindSchema } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { Argument, type Command } from 'commander'
import { z } from 'zod'
import { expectAnswer } from '../expect-answer.ts'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { operatorOf } from '../operator-client.ts'
import { type DataOption, type JsonOption, withData, withJson } from '../options.ts'

interface RevokeCommand extends DataOption, JsonOption {
  reason: string
}

const answerSchema = z.object({ kind: z.string(), target: z.string(), sequence: z.int(), acknowledged_at: z.string() })

export function revokeCommand(program: Command, io: Io, done: (code: ExitCode) => void): void {
  const command = program
    .command('revoke')
    .summary('stop a grant, an agent, or everything')
    .description(
      'Stops what is named, for good: a credential, delegation or grant by its id; of an agent, approver or tool server ' +
        'everything granted so far; or, with `all`, everything. Only a new approval brings anything back.',
    )
    .addArgument(new Argument('<kind>', 'what to stop').choices(revocationKindSchema.options))
    .addArgument(new Argument('[id]', 'which one; none for `all`'))
    .requiredOption('--reason <text>', 'why; it stays in the evidence')
  withJson(withData(command, io)).action(async (kind: string, id: string | undefined, options: RevokeCommand) =>
    done(await revoke(kind, id, options, io)),
  )
}

async function revoke(kind: string, id: string | undefined, options: RevokeCommand, io: Io): Promise<ExitCode> {
  const target = kind === 'all' ? '*' : id
  if (target === undefined || (kind === 'all' && id !== undefined && id !== '*'))
    throw new ServiceError('config_invalid', kind === 'all' ? '`revoke all` takes no id' : `revoke ${kind} needs an id`)
  const answer = await operatorOf(options.data).post('/operator/revocations', { kind, target, reason: options.reason })
  const { sequence, acknowledged_at } = expectAnswer(answerSchema, answer)
  if (options.json) io.out(JSON.stringify({ kind, target, sequence, acknowledged_at }))
  else {
    io.out(`Revoked ${kind} ${target}: number ${sequence}, durable since ${acknowledged_at}`)
    io.out('From then on no decision point allows it later than 1 s, or 2 s where one is cut off.')
  }
  return exitCodes.ok
}
