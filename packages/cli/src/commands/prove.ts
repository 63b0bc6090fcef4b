import { commitmentsIn, parseStrictJson } from '@bailiwick/contracts'
import type { Command } from 'commander'
import { z } from 'zod'
import { expectAnswer } from '../expect-answer.ts'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { operatorOf } from '../operator-client.ts'
import { collect, type DataOption, withData } from '../options.ts'

interface ProveCommand extends DataOption {
  reveal?: string[]
  withhold?: string[]
}

const bundleSchema = z.looseObject({
  leaves: z.array(z.looseObject({ event: z.string() })),
  values: z.array(z.unknown()).optional(),
})

export function proveCommand(program: Command, io: Io, done: (code: ExitCode) => void): void {
  const command = program
    .command('prove')
    .summary('prove one action to an outsider, who verifies it with `verify BUNDLE`')
    .description(
      'Prints a bundle: every entry of the log that the action rests on (request, approval, registry, grant, credential, ' +
        'decision, outcome), each with its proof under one checkpoint with the cosignatures that there are. What people and ' +
        'agents wrote in their own words, and calls with their arguments, are withheld: the entries hold salted hashes, and --reveal puts the text beside them.',
    )
    .argument('<id>', 'a decision, call, credential, grant or request')
    .option(
      '--reveal <name>',
      '`purpose`, `reason`, `call`, a salted hash, or `all`; may be given more than once',
      collect,
    )
    .option('--withhold <name>', 'though --reveal names it', collect)
  withData(command, io).action(async (id: string, { data, reveal = [], withhold = [] }: ProveCommand) => {
    const query = new URLSearchParams()
    if (reveal.length > 0) query.set('reveal', reveal.join())
    if (withhold.length > 0) query.set('withhold', withhold.join())
    const bundle = await operatorOf(data).text(
      `/v1/bundle/${encodeURIComponent(id)}${query.size > 0 ? `?${query}` : ''}`,
    )
    for (const line of withheldLines(bundle)) io.err(line)
    io.out(bundle)
    done(exitCodes.ok)
  })
}

/** What stands in the bundle as a salted hash alone: whoever gives it away should know. */
function withheldLines(bundle: string): string[] {
  const { leaves, values = [] } = expectAnswer(bundleSchema, JSON.parse(bundle))
  const all = leaves.flatMap(({ event }) => commitmentsIn(Object(parseStrictJson(Buffer.from(event))).data))
  const count = all.length - values.length
  if (count <= 0) return []
  const names = [...new Set(all.map(({ at }) => at.slice(at.lastIndexOf('/') + 1)))].join(', ')
  return [
    `Withheld: ${count} of ${all.length} texts (${names}). The bundle has their salted hashes; --reveal NAME shows more.`,
  ]
}
