import { callAt, commitmentsIn, parseStrictJson } from '@bailiwick/contracts'
import { evidenceRoutes } from '@bailiwick/contracts/api'
import { saltedHash } from '@bailiwick/credentials'
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

const { leaves: leavesSchema, values: valuesSchema } = evidenceRoutes.proveAction.answer.shape
const bundleSchema = z.object({ leaves: z.array(leavesSchema.element.pick({ event: true })), values: valuesSchema })

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
      '`purpose`, `reason`, `arguments`, `call`, a salted hash, or `all`; may be given more than once',
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
    for (const line of textLines(bundle, { reveal, withhold })) io.err(line)
    io.out(bundle)
    done(exitCodes.ok)
  })
}

/**
 * One line per state of the texts: a person who passes a bundle on should know which texts it shows, and why it does not show the others.
 */
function textLines(
  bundle: string,
  { reveal, withhold }: { reveal: readonly string[]; withhold: readonly string[] },
): string[] {
  const { leaves, values = [] } = expectAnswer(bundleSchema, JSON.parse(bundle))
  const shown = new Set(values.map(saltedHash))
  const texts = leaves.flatMap(({ event }) => {
    const data: unknown = Object(parseStrictJson(Buffer.from(event))).data
    return commitmentsIn(data).map(({ at, salted_sha256: hash }) => {
      const name = at.slice(at.lastIndexOf('/') + 1)
      const wasKept = at !== callAt || Object(data).call_kept === true
      const isWithheld = [name, hash, 'all'].some((one) => withhold.includes(one)) || !reveal.includes('all')
      const fate = shown.has(hash) ? 'Shown' : !wasKept ? 'Never kept' : isWithheld ? 'Withheld' : 'Gone'
      return { name, fate } as const
    })
  })
  return (['Shown', 'Withheld', 'Never kept', 'Gone'] as const).flatMap((fate) => {
    const of = texts.filter((text) => text.fate === fate)
    if (of.length === 0) return []
    const names = [...new Set(of.map(({ name }) => name))].join(', ')
    return [`${fate}: ${of.length} of ${texts.length} texts (${names}). ${meaning[fate]}`]
  })
}

const meaning = {
  Shown: 'They stand in the bundle, beside their salted hashes.',
  Withheld: 'The bundle has their salted hashes; --reveal NAME shows more.',
  'Never kept': 'The decision point kept no calls: the salted hash is all there is.',
  Gone: 'Evidence does not hold them any more, or not yet.',
}
