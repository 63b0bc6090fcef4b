import { erasureReasonSchema } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { type Command, Option } from 'commander'
import { readErasureList } from '../erasure-list.ts'
import { type ErasureReason, erasable, notYetErased, orderErasure, type Value, valuesOf } from '../erasures.ts'
import { inputLines } from '../input-lines.ts'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { type Operator, operatorOf } from '../operator-client.ts'
import { type DataOption, type JsonOption, withData, withJson } from '../options.ts'

interface EraseOptions extends DataOption, JsonOption {
  reason?: ErasureReason
  again?: string
  yes?: true
}

/** The values to erase for one reason. */
interface Order {
  reason: ErasureReason
  values: Value[]
}

const isHash = (name: string) => /^[\w-]{43}$/.test(name)

export function eraseCommand(program: Command, io: Io, done: (code: ExitCode) => void): void {
  const command = program
    .command('erase')
    .summary('delete words and arguments that the log holds only as salted hashes')
    .description(
      'Deletes what people and agents wrote in their own words, and calls with their arguments that were kept, about a request, decision, agent or task, or one text by its salted ' +
        'hash, wherever Bailiwick keeps it. The log keeps the hashes, so every proof still holds, and an event that ' +
        'says what was erased. Not to be undone; a backup from before has them still: --again erases what came back with it. docs/audit/erasure.md says what it does not reach.',
    )
    .argument('[id]', 'a request, event, decision, agent or task; or the salted hash (att_…) of one value')
    .addOption(new Option('--reason <code>', 'why; it stays in the log').choices(erasureReasonSchema.options))
    .option(
      '--again <file>',
      'all that was erased before, for its reasons: lines that this command printed with --json',
    )
    .option('--yes', 'do not ask first')
  withJson(withData(command, io)).action(async (id: string | undefined, options: EraseOptions) => {
    const { reason, again } = options
    if (again !== undefined) {
      if (id !== undefined || reason !== undefined) command.error('error: --again takes no id and no --reason')
      return done(await eraseAgain(again, options, io))
    }
    if (id === undefined) return command.error("error: missing required argument 'id'")
    if (reason === undefined) return command.error("error: required option '--reason <code>' not specified")
    done(await erase(id, { ...options, reason }, io))
  })
}

async function erase(id: string, options: EraseOptions & { reason: ErasureReason }, io: Io): Promise<ExitCode> {
  const operator = operatorOf(options.data)
  const hash = id.replace(/^att_/, '')
  const found = await valuesOf(operator, id)
  const named = isHash(hash) ? found.filter(({ salted_sha256 }) => salted_sha256 === hash) : found
  const values = erasable(named)
  if (values.length === 0) {
    const isUnkept = named.length > 0 && named.every(({ state }) => state === 'unkept')
    const why = isUnkept
      ? 'its call was not kept here'
      : named.length > 0
        ? 'everything there is erased already'
        : 'no event there holds a salted hash'
    throw new ServiceError('entity_unknown', `nothing to erase: ${why}`)
  }
  return carryOut(operator, [{ reason: options.reason, values }], options, io)
}

/** Erases the values that came back with a backup. Those that no event here holds did not come back. */
async function eraseAgain(file: string, options: EraseOptions, io: Io): Promise<ExitCode> {
  const { reasons, events } = await readErasureList('--again', file)
  const operator = operatorOf(options.data)
  const found: Value[] = []
  for (const event of events) found.push(...(await valuesOf(operator, event)))
  const reasonOf = ({ salted_sha256 }: Value) => reasons.get(salted_sha256)
  const orders: Order[] = []
  for (const [reason, values] of Map.groupBy(erasable(found), reasonOf))
    if (reason !== undefined) orders.push({ reason, values })
  if (orders.length > 0) return carryOut(operator, orders, options, io)
  io.err(`Nothing of these ${reasons.size} is here: erased already, or never in this log.`)
  return exitCodes.ok
}

async function carryOut(
  operator: Operator,
  orders: readonly Order[],
  { yes, json }: EraseOptions,
  io: Io,
): Promise<ExitCode> {
  const wanted = orders.flatMap(({ values }) => values)
  for (const value of wanted) io.err(lineOf(value))
  if (!yes && !(await isConfirmed(wanted.length, io))) {
    io.err('Nothing was erased.')
    return exitCodes.fault
  }
  for (const { reason, values } of orders) await orderErasure(operator, reason, values)
  const missing = new Set(await notYetErased(operator, wanted, io))
  if (json) for (const order of orders) io.out(jsonLineOf(order, missing))
  else {
    const erased = wanted.length - missing.size
    io.out(`Erased ${erased} of ${wanted.length}; the log says so (value.erased). Proofs hold as before.`)
  }
  for (const { salted_sha256 } of missing)
    io.err(`bailiwick: ${salted_sha256} is ordered, and evidence has not erased it yet: run this again to see`)
  return missing.size === 0 ? exitCodes.ok : exitCodes.fault
}

/** Keep these lines with the backups: with them, values that a backup brings back can be erased again. */
function jsonLineOf({ reason, values }: Order, missing: ReadonlySet<Value>): string {
  const hashesOf = (isMissing: boolean) =>
    values.filter((value) => missing.has(value) === isMissing).map(({ salted_sha256 }) => salted_sha256)
  const events = [...new Set(values.map(({ event_id }) => event_id))]
  return JSON.stringify({ reason, erased: hashesOf(false), pending: hashesOf(true), events })
}

async function isConfirmed(count: number, io: Io): Promise<boolean> {
  io.err(`This cannot be undone. Type ERASE to delete ${count === 1 ? 'it' : `these ${count}`}:`)
  for await (const line of inputLines(io.input ?? [])) return line.toString('utf8').trim() === 'ERASE'
  return false
}

const lineOf = ({ time, type, subject, at, salted_sha256, state }: Value): string =>
  `${time}  ${type.padEnd(20)} ${subject}  ${at.slice(1)}  ${salted_sha256}  ${state}`
