import { revocationKindSchema } from '@bailiwick/contracts'
import { type appliedSchema, issuerRoutes } from '@bailiwick/contracts/api'
import { encodeBase64url, type SaltedText, saltedHash } from '@bailiwick/credentials'
import { errorCode, ServiceError } from '@bailiwick/errors'
import { Argument, type Command, InvalidArgumentError } from 'commander'
import type { z } from 'zod'
import { expectAnswer } from '../expect-answer.ts'
import { type ExitCode, exitCodes, type Io } from '../io.ts'
import { type Operator, operatorOf } from '../operator-client.ts'
import { type DataOption, type JsonOption, withData, withJson } from '../options.ts'

interface RevokeCommand extends DataOption, JsonOption {
  reason: string
  /** Seconds; `true`: the bound of V7. */
  wait?: number | true
  dryRun?: true
}

interface Target {
  kind: string
  target: string
}

/** V7's bound for a service that is cut off. */
const boundSeconds = 2
const mostSeconds = 20
const longestReason = 2000

const answerSchema = issuerRoutes.revoke.answer
const previewSchema = issuerRoutes.previewRevocation.answer.omit({ kind: true, target: true })

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
    .requiredOption(
      '--reason <text>',
      'why; the evidence holds its salted hash, and `erase` deletes the words',
      reasonIn,
    )
    .option(
      '--wait [seconds]',
      `until every live instance applies it, and how long each took; ${boundSeconds} unless told. Exit code 1 when one does not`,
      secondsIn,
    )
    .option('--dry-run', 'what would end; nothing does')
  withJson(withData(command, io)).action(async (kind: string, id: string | undefined, options: RevokeCommand) => {
    const target = kind === 'all' ? '*' : id
    if (target === undefined || (kind === 'all' && id !== undefined && id !== '*'))
      throw new ServiceError(
        'config_invalid',
        kind === 'all' ? '`revoke all` takes no id' : `revoke ${kind} needs an id`,
      )
    const operator = operatorOf(options.data)
    const work = options.dryRun ? preview : revoke
    done(await work(operator, { kind, target }, options, io))
  })
}

function reasonIn(text: string): string {
  if (text !== '' && text.length <= longestReason) return text
  throw new InvalidArgumentError(`1 to ${longestReason} characters.`)
}

function secondsIn(text: string): number {
  const seconds = Number(text)
  if (seconds > 0 && seconds <= mostSeconds) return seconds
  throw new InvalidArgumentError(`more than 0 and at most ${mostSeconds}.`)
}

async function revoke(
  operator: Operator,
  named: Target,
  { reason, wait, json }: RevokeCommand,
  io: Io,
): Promise<ExitCode> {
  const seconds = wait === true ? boundSeconds : wait
  const words = { salt: encodeBase64url(io.random(16)), text: reason }
  const answer = await operator.post('/operator/revocations', {
    ...named,
    reason: { salted_sha256: saltedHash(words) },
    ...(seconds === undefined ? {} : { wait_ms: Math.ceil(seconds * 1000) }),
  })
  const { sequence, is_new, acknowledged_at, applied } = expectAnswer(answerSchema, answer)
  if (seconds !== undefined && applied === undefined)
    throw new ServiceError('answer_malformed', 'the answer does not say which services applied it')
  const lost = is_new ? await whyNotKept(operator, named, words) : undefined
  const late = applied?.filter(({ ms }) => ms === null) ?? []
  if (json) io.out(JSON.stringify({ ...named, sequence, is_new, acknowledged_at, ...(applied ? { applied } : {}) }))
  else {
    const what = named.kind === 'all' ? 'everything' : `${named.kind} ${named.target}`
    io.out(
      is_new
        ? `Revoked ${what}: number ${sequence}, durable since ${acknowledged_at}`
        : `${what} was revoked before, by number ${sequence}, whose reason stands`,
    )
    if (applied === undefined)
      io.out('From then on no decision point allows it later than 1 s, or 2 s where one is cut off.')
    for (const line of tableOf(applied ?? [])) io.out(line)
  }
  if (lost !== undefined)
    io.err(
      `bailiwick: revoked, but no service keeps the words of the reason (${lost}): the log has their salted hash alone`,
    )
  for (const { producer } of late)
    io.err(`bailiwick: ${producer} was not heard to apply it within ${seconds} s; cut off, it allows nothing after 2 s`)
  return late.length === 0 ? exitCodes.ok : exitCodes.fault
}

/** Runs after the revocation, which waits for nothing: the text for a failed revocation would be left over without an event. */
async function whyNotKept(
  operator: Operator,
  { kind, target }: Target,
  words: SaltedText,
): Promise<string | undefined> {
  try {
    await operator.post('/operator/values', { about: `${kind} ${target}`.slice(0, 128), ...words })
    return undefined
  } catch (error) {
    return errorCode(error)
  }
}

function tableOf(applied: readonly z.infer<typeof appliedSchema>[]): string[] {
  const width = Math.max(...applied.map(({ producer }) => producer.length))
  return applied
    .toSorted((a, b) => (a.ms ?? Number.POSITIVE_INFINITY) - (b.ms ?? Number.POSITIVE_INFINITY))
    .map(({ producer, ms }) => `  ${producer.padEnd(width)}  ${ms === null ? 'NOT APPLIED' : `${Math.ceil(ms)} ms`}`)
}

async function preview(operator: Operator, named: Target, { json }: RevokeCommand, io: Io): Promise<ExitCode> {
  const answer = expectAnswer(previewSchema, await operator.post('/operator/revocations/preview', named))
  const { grants, grant_count, credentials, delegations } = answer
  if (json) {
    io.out(JSON.stringify({ ...named, ...answer }))
    return exitCodes.ok
  }
  io.out(
    `Revoking ${named.kind} ${named.target} would end ${grant_count} grants, ${credentials} credentials and ${delegations} ` +
      'delegations that are alive. Nothing was done.',
  )
  for (const { grant_id, agent, task, not_after } of grants)
    io.out(`  ${grant_id}  ${task}, until ${not_after}, of ${agent}`)
  if (grant_count > grants.length) io.out(`  and ${grant_count - grants.length} more`)
  return exitCodes.ok
}
