import { readFileSync } from 'node:fs'
import { agentIdOf } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { parse } from 'yaml'
import { z } from 'zod'

const limitsSchema = z.strictObject({
  /** Longest time that a grant may last from now on. */
  minutes: z.number().positive().optional(),
  /** Largest number of calls; a request without a limit on calls exceeds any. */
  calls: z.int().min(0).optional(),
  /** Largest cost by currency. A currency that is not listed may not be spent. */
  cost: z.record(z.string().regex(/^[A-Z]{3}$/), z.number().min(0)).optional(),
})

const ruleSchema = z.strictObject({
  /** The agent's SPIFFE ID, or its last part. */
  agent: z.string().optional(),
  task: z.string().optional(),
  /** All actions that are asked for are among these. */
  actions: z.array(z.string()).min(1).optional(),
  /** `type:id` or `type:prefix*`; all resources that are asked for match one of these. */
  resources: z
    .array(z.string().regex(/^[!-~]+:/, 'not type:id'))
    .min(1)
    .optional(),
  at_most: limitsSchema.optional(),
  answer: z.enum(['approve', 'deny']),
  /** Told to the agent with a denial. */
  reason: z.string().max(500).optional(),
})

const rulesSchema = z.strictObject({
  /** The first rule that matches a request answers it. A request that matches none stays unanswered. */
  requests: z.array(ruleSchema).max(1000),
  registry_changes: z.enum(['approve', 'leave']).default('approve'),
})

/** How the software approver answers: the file of `bailiwick dev --approve`. */
export type AnswerRules = z.output<typeof rulesSchema>
export type AnswerRule = AnswerRules['requests'][number]

/** The parts of a request that the rules use, as in `/console/api/state`. */
export interface AskedFor {
  /** The instance that asks: a SPIFFE ID. */
  agent: string
  authority: {
    task: string
    permissions: readonly { actions: readonly string[]; resource: { type: string; id?: string; id_prefix?: string } }[]
    budget: { calls?: number; cost?: Readonly<Record<string, string>> }
  }
  not_after: string
}

/** Reads the file of answers (YAML). Throws `config_invalid`, with what is wrong and where. */
export function readAnswerRules(path: string): AnswerRules {
  let content: unknown
  try {
    content = parse(readFileSync(path, 'utf8'))
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new ServiceError('config_invalid', `--approve ${path}: ${why}`, { cause })
  }
  const read = rulesSchema.safeParse(content)
  if (read.success) return read.data
  const faults = read.error.issues.map(({ path: at, message }) => `${at.join('.') || 'the file'}: ${message}`)
  throw new ServiceError('config_invalid', `--approve ${path}: ${faults.join('; ')}`)
}

/** Without a file: everything within these limits is approved, and everything else is denied. */
export function rulesWithin(limits: { minutes: number; calls: number }): AnswerRules {
  const reason = `bailiwick dev approves ${limits.calls} calls and ${limits.minutes} minutes at most; raise --max-calls or --max-minutes, or write a file for --approve`
  return {
    requests: [
      { at_most: limits, answer: 'approve' },
      { answer: 'deny', reason },
    ],
    registry_changes: 'approve',
  }
}

/**
 * The rule that answers this request, and its place in the file, counted from 1. Undefined if none matches. `now` in ms since the epoch.
 */
export function ruleFor(
  { requests }: AnswerRules,
  asked: AskedFor,
  now: number,
): { rule: AnswerRule; number: number } | undefined {
  const at = requests.findIndex((rule) => matches(rule, asked, now))
  const rule = requests[at]
  return rule && { rule, number: at + 1 }
}

function matches(rule: AnswerRule, { agent, authority, not_after }: AskedFor, now: number): boolean {
  const { permissions, budget } = authority
  const actions = permissions.flatMap((permission) => permission.actions)
  return (
    (rule.agent === undefined || isAgent(rule.agent, agentIdOf(agent))) &&
    (rule.task === undefined || rule.task === authority.task) &&
    (rule.actions === undefined || actions.every((action) => rule.actions?.includes(action))) &&
    (rule.resources === undefined ||
      permissions.every(({ resource }) => rule.resources?.some((pattern) => includes(pattern, resource)))) &&
    isWithin(rule.at_most ?? {}, { minutes: (Date.parse(not_after) - now) / 60_000, budget })
  )
}

const isAgent = (name: string, id: string) => name === id || id.endsWith(`/agent/${name}`)

/** A prefix that is asked for is included only in a pattern that is at least as wide. */
function includes(
  pattern: string,
  { type, id, id_prefix }: { type: string; id?: string; id_prefix?: string },
): boolean {
  const asked = `${type}:${id ?? id_prefix ?? ''}`
  if (pattern.endsWith('*')) return asked.startsWith(pattern.slice(0, -1))
  return id !== undefined && asked === pattern
}

function isWithin(
  limits: z.output<typeof limitsSchema>,
  { minutes, budget }: { minutes: number; budget: AskedFor['authority']['budget'] },
): boolean {
  const { cost } = limits
  return (
    (limits.minutes === undefined || minutes <= limits.minutes) &&
    (limits.calls === undefined || (budget.calls ?? Number.POSITIVE_INFINITY) <= limits.calls) &&
    (cost === undefined ||
      Object.entries(budget.cost ?? {}).every(([currency, amount]) => Number(amount) <= (cost[currency] ?? 0)))
  )
}
