import { callAt, erasureReasonSchema } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { after } from '@bailiwick/service-kit'
import { type Command, Option } from 'commander'
import { z } from 'zod'
import { expectAnswer } from '../expect-answer.ts'
import { inputLines } from '../input-lines.ts'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { type Operator, operatorOf } from '../operator-client.ts'
import { type DataOption, type JsonOption, withData, withJson } from '../options.ts'

interface EraseCommand extends DataOption, JsonOption {
  reason: string
  yes?: true
}

const valueSchema = z.object({
  event_id: z.string(),
  type: z.string(),
  time: z.string(),
  subject: z.string(),
  at: z.string(),
  salted_sha256: z.string(),
  state: z.enum(['held', 'erased', 'altered', 'contradicted', 'absent', 'unkept']),
})
const pageSchema = z.object({ values: z.array(valueSchema), next: z.string().optional() })
type Value = z.output<typeof valueSchema>

/** What one call takes. */
const mostAtOnce = 200
/** How long evidence may take to do it and to say so, ms. */
const erasedWithinMs = 15_000
const lookEveryMs = 200
const isCall = ({ at }: Value) => at === callAt
const isHash = (name: string) => /^[\w-]{43}$/.test(name)

export function eraseCommand(program: Command, io: Io, done: (code: ExitCode) => void): void {
  const command = program
    .command('erase')
    .summary('delete words and arguments that the log holds only as salted hashes')
    .description(
      'Deletes what people and agents wrote in their own words, and calls with their arguments that were kept, about a request, decision, agent or task, or one text by its salted ' +
        'hash, wherever Bailiwick keeps it. The log keeps the hashes, so every proof still holds, and an event that ' +
        'says what was erased. Not to be undone. docs/operations/erasure.md says what it does not reach.',
    )
    .argument('<id>', 'a request, event, agent or task; or the salted hash (att_…) of one value')
    .addOption(
      new Option('--reason <code>', 'why; it stays in the log')
        .choices(erasureReasonSchema.options)
        .makeOptionMandatory(),
    )
    .option('--yes', 'do not ask first')
  withJson(withData(command, io)).action(async (id: string, options: EraseCommand) =>
    done(await erase(id, options, io)),
  )
}

async function erase(id: string, { data, reason, yes, json }: EraseCommand, io: Io): Promise<ExitCode> {
  const operator = operatorOf(data)
  const hash = id.replace(/^att_/, '')
  const found = await valuesOf(operator, id)
  const named = isHash(hash) ? found.filter(({ salted_sha256 }) => salted_sha256 === hash) : found
  // Absent at evidence is not gone: it may still be on its way there. What is altered is a copy of something.
  const wanted = [...new Map(named.map((value) => [value.salted_sha256, value])).values()].filter(
    ({ state }) => state !== 'erased' && state !== 'unkept',
  )
  if (wanted.length === 0) {
    const isUnkept = named.length > 0 && named.every(({ state }) => state === 'unkept')
    const why = isUnkept
      ? 'its call was kept by nobody here'
      : named.length > 0
        ? 'everything there is erased already'
        : 'no event there holds a salted hash'
    throw new ServiceError('entity_unknown', `nothing to erase: ${why}`)
  }
  for (const value of wanted) io.err(lineOf(value))
  if (!yes && !(await isConfirmed(wanted.length, io))) {
    io.err('Nothing was erased.')
    return exitCodes.fault
  }
  const calls = wanted.filter(isCall)
  await order(
    operator,
    '/operator/values/erase',
    reason,
    wanted.filter((value) => !isCall(value)),
  )
  await order(operator, '/operator/calls/erase', reason, calls)
  const missing = await notYetErased(operator, wanted, io)
  const erased = wanted.filter((value) => !missing.includes(value)).map(({ salted_sha256 }) => salted_sha256)
  if (json) io.out(JSON.stringify({ reason, erased, pending: missing.map(({ salted_sha256 }) => salted_sha256) }))
  else io.out(`Erased ${erased.length} of ${wanted.length}; the log says so (value.erased). Proofs hold as before.`)
  for (const { salted_sha256 } of missing)
    io.err(`bailiwick: ${salted_sha256} is ordered, and evidence has not erased it yet: run this again to see`)
  return missing.length === 0 ? exitCodes.ok : exitCodes.fault
}

/** Who wrote a value erases it. */
async function order(operator: Operator, path: string, reason: string, wanted: readonly Value[]): Promise<void> {
  for (let from = 0; from < wanted.length; from += mostAtOnce) {
    const values = wanted
      .slice(from, from + mostAtOnce)
      .map(({ salted_sha256, subject }) => ({ attachment_id: `att_${salted_sha256}`, about: subject.slice(0, 128) }))
    await operator.post(path, { reason, values })
  }
}

async function valuesOf(operator: Operator, id: string): Promise<Value[]> {
  const found: Value[] = []
  for (let cursor: string | undefined = ''; cursor !== undefined; ) {
    const at = `/v1/values/${encodeURIComponent(id)}?limit=500${cursor === '' ? '' : `&cursor=${cursor}`}`
    const page: z.output<typeof pageSchema> = expectAnswer(pageSchema, await operator.get(at))
    found.push(...page.values)
    cursor = page.next
  }
  return found
}

async function notYetErased(operator: Operator, wanted: readonly Value[], { clock }: Io): Promise<Value[]> {
  const until = clock.monotonic() + erasedWithinMs
  let missing = [...wanted]
  for (;;) {
    const still: Value[] = []
    for (const value of missing) {
      const now = await valuesOf(operator, value.event_id)
      // The log's own word, too: it comes after the words are gone.
      const isGone = now.some((each) => each.salted_sha256 === value.salted_sha256 && each.state === 'erased')
      if (!isGone) still.push(value)
    }
    missing = still
    if (missing.length === 0 || clock.monotonic() >= until) return missing
    await after(lookEveryMs)
  }
}

async function isConfirmed(count: number, io: Io): Promise<boolean> {
  io.err(`This cannot be undone. Type ERASE to delete ${count === 1 ? 'it' : `these ${count}`}:`)
  for await (const line of inputLines(io.input ?? [])) return line.toString('utf8').trim() === 'ERASE'
  return false
}

const lineOf = ({ time, type, subject, at, salted_sha256, state }: Value): string =>
  `${time}  ${type.padEnd(20)} ${subject}  ${at.slice(1)}  ${salted_sha256}  ${state}`
