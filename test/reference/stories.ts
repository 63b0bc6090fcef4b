import type { Authority, Permission } from '@bailiwick/authority'
import fc from 'fast-check'
import type { Expr, Policy, Scope } from './cedar.ts'
import { conditionsOnHistory, touchedType } from './history-policies.ts'

// Whole histories: what happens to a few grants over some hours, and the calls in between. Steps name things by number
// among those that exist by then, so any step can be left out of a story, and a failing story shrinks.

export type Step =
  | {
      do: 'call'
      credential: number
      tool: number
      amount: string
      currency: string
      point: number
      signed: boolean
      answerBytes: number | undefined
    }
  /** A call that was allowed is sent again, with answers. `credential`: another one than before; `changed`: with another argument. */
  | {
      do: 'round'
      allowed: number
      credential: number | undefined
      changed: boolean
      answerBytes: number | undefined
      point: number
    }
  | { do: 'grant'; grant: GrantPlan }
  | { do: 'credential'; holder: number; minutes: number; recorded: boolean }
  | { do: 'delegate'; holder: number; to: number; part: Part; flaw: Flaw; minutes: number }
  | { do: 'revoke'; kind: (typeof kinds)[number]; target: number; isNext: boolean }
  | { do: 'move'; grant: number; to: 'suspended' | 'resumed' | 'completed' | 'expired' }
  | {
      do: 'outcome'
      allowed: number
      status: (typeof statuses)[number]
      bytes: number | undefined
      cost: string | undefined
      point: number
    }
  | { do: 'pass'; minutes: number }
  | { do: 'stale' | 'fresh' }
  | { do: 'manifest'; server: number }
  | { do: 'retire'; agent: number }

export interface GrantPlan {
  party: number
  authority: Authority
  perAction: boolean
  startsIn: number
  minutes: number
  /** How many of the declared revocations people did not know of. */
  behind: number
  approvers: number
}

/** The delegated part: everything, the first permissions with fewer calls, or something of its own. */
export type Part = 'all' | 'some' | Authority

/** The fault of a delegation, if it has one. */
export type Flaw = 'none' | 'signer' | 'maker' | 'parent' | 'as_of' | 'expiry'

const kinds = ['credential', 'delegation', 'grant', 'agent', 'approver', 'tool-server', 'all'] as const
const statuses = ['succeeded', 'failed', 'continued', 'not_executed', 'not_observed', 'unknown'] as const

export const tools: Record<string, { server: string; labels: string[] }> = {
  'erp/read': { server: 'erp', labels: ['reads_private'] },
  'erp/pay': { server: 'erp', labels: ['writes', 'destructive'] },
  'web/get': { server: 'web', labels: ['reads_untrusted'] },
  'web/send': { server: 'web', labels: ['external_send'] },
}
/** The last two have no description. */
export const toolIds = [...Object.keys(tools), 'erp/new', 'gone/x']

const permissions: fc.Arbitrary<Permission> = fc
  .record({
    tool: fc.constantFrom(...toolIds),
    where: fc.option(fc.constantFrom('1', '2.5', '10'), { nil: undefined, freq: 3 }),
    closed: fc.nat(5).map((n) => n === 0),
    costs: fc.boolean(),
    uses: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined, freq: 3 }),
  })
  .map(({ tool, where, closed, costs, uses }) => ({
    actions: ['tools/call'],
    resource: { type: 'tool', id: tool },
    ...(where === undefined ? {} : { where: { '/amount': { max: where } } }),
    ...(closed ? { arguments: 'closed' as const } : {}),
    ...(costs ? { cost: { amount: '/amount', currency: '/currency' } } : {}),
    ...(uses === undefined ? {} : { max_uses: uses }),
  }))

const authorities: fc.Arbitrary<Authority> = fc
  .record({
    permissions: fc.array(permissions, { minLength: 2, maxLength: 5 }),
    calls: fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined }),
    euros: fc.constantFrom('0', '5', '20', '100'),
    bytes: fc.option(fc.integer({ min: 1, max: 60 }), { nil: undefined, freq: 2 }),
    max_depth: fc.constantFrom(0, 1, 2, 3, 3, 3),
    max_children: fc.constantFrom(0, 1, 3, 3, 3, 3),
    delegates: fc.oneof(
      { weight: 4, arbitrary: fc.constant(undefined) },
      { weight: 1, arbitrary: fc.subarray(['alpha', 'beta', 'gamma'], { minLength: 1 }) },
    ),
  })
  .map(({ permissions: own, calls, euros, bytes, delegates, ...limits }) => ({
    type: 'bailiwick_task' as const,
    task: 't',
    permissions: own,
    budget: {
      ...(calls === undefined ? {} : { calls }),
      cost: { EUR: euros },
      ...(bytes === undefined ? {} : { egress_bytes: bytes }),
    },
    ...limits,
    ...(delegates === undefined ? {} : { delegates: delegates.map((name) => `spiffe://example.org/agent/${name}`) }),
  }))

const some = fc.nat(20)
const grantPlans: fc.Arbitrary<GrantPlan> = fc.record({
  party: some,
  authority: authorities,
  perAction: fc.nat(3).map((n) => n === 0),
  startsIn: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 5),
  minutes: fc.constantFrom(30, 120, 480),
  behind: fc.constantFrom(0, 0, 0, 1, 2),
  approvers: fc.integer({ min: 1, max: 2 }),
})

const calls: fc.Arbitrary<Step> = fc.record({
  do: fc.constant('call' as const),
  credential: some,
  tool: some,
  amount: fc.constantFrom('1', '1', '1', '1', '1', '2.5', '2.500001', '7', '-1', 'x'),
  currency: fc.constantFrom('EUR', 'EUR', 'EUR', 'EUR', 'EUR', 'EUR', 'USD'),
  point: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 1),
  signed: fc.boolean(),
  answerBytes: fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined, freq: 2 }),
})
const credentials: fc.Arbitrary<Step> = fc.record({
  do: fc.constant('credential' as const),
  holder: some,
  minutes: fc.constantFrom(5, 10, 10),
  recorded: fc.nat(30).map((n) => n > 0),
})
const delegations: fc.Arbitrary<Step> = fc.record({
  do: fc.constant('delegate' as const),
  holder: some,
  to: some,
  part: fc.oneof({ weight: 8, arbitrary: fc.constantFrom<Part[]>('all', 'some', 'some') }, authorities),
  flaw: fc.constantFrom<Flaw[]>(
    'none',
    'none',
    'none',
    'none',
    'none',
    'none',
    'none',
    'none',
    'none',
    'none',
    'none',
    'none',
    'signer',
    'maker',
    'parent',
    'as_of',
    'expiry',
  ),
  minutes: fc.constantFrom(10, 60, 480),
})
const revocations: fc.Arbitrary<Step> = fc.record({
  do: fc.constant('revoke' as const),
  kind: fc.constantFrom(...kinds),
  target: some,
  isNext: fc.nat(5).map((n) => n > 0),
})
const events: fc.Arbitrary<Step> = fc.oneof(
  revocations,
  fc.record({
    do: fc.constant('move' as const),
    grant: some,
    to: fc.constantFrom(
      'suspended' as const,
      'suspended' as const,
      'resumed' as const,
      'completed' as const,
      'expired' as const,
    ),
  }),
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('pass' as const), minutes: fc.constantFrom(1, 1, 1, 1, 5, 10, 30, 185) }),
  },
  fc.record({ do: fc.constantFrom('stale' as const, 'fresh' as const, 'fresh' as const) }),
  fc.record({ do: fc.constant('manifest' as const), server: fc.nat(1) }),
  { weight: 1, arbitrary: fc.record({ do: fc.constant('retire' as const), agent: fc.nat(2) }) },
  fc.record({ do: fc.constant('grant' as const), grant: grantPlans }),
)
const outcomes: fc.Arbitrary<Step> = fc.record({
  do: fc.constant('outcome' as const),
  allowed: some,
  status: fc.constantFrom(...statuses, 'continued' as const, 'continued' as const),
  bytes: fc.option(fc.nat(20), { nil: undefined, freq: 6 }),
  cost: fc.option(fc.constantFrom('0', '0.4', '1', '2.500001', '9'), { nil: undefined, freq: 2 }),
  point: fc.constantFrom(0, 0, 0, 1),
})

const rounds: fc.Arbitrary<Step> = fc.record({
  do: fc.constant('round' as const),
  allowed: some,
  credential: fc.option(some, { nil: undefined, freq: 4 }),
  changed: fc.nat(7).map((n) => n === 0),
  answerBytes: fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined, freq: 2 }),
  point: fc.constantFrom(0, 0, 0, 0, 0, 0, 1),
})
/** The newest call is answered with questions, and then with what follows from the answers. */
const asked: fc.Arbitrary<Step[]> = fc
  .record({ bytes: fc.option(fc.nat(3), { nil: undefined, freq: 6 }), point: fc.constantFrom(0, 0, 0, 0, 0, 1) })
  .chain((more) =>
    rounds.map((round) => [
      { do: 'outcome', allowed: -1, status: 'continued', cost: undefined, ...more },
      { ...round, allowed: -1 } as Step,
    ]),
  )

export const stories: fc.Arbitrary<Step[]> = fc
  .tuple(
    fc.array(revocations, { maxLength: 2 }), // people know of them when they approve, or not
    fc.array(grantPlans, { minLength: 1, maxLength: 2 }),
    fc.array(
      fc.oneof(
        { weight: 12, arbitrary: calls },
        { weight: 4, arbitrary: credentials },
        { weight: 3, arbitrary: delegations },
        { weight: 4, arbitrary: outcomes },
        { weight: 3, arbitrary: fc.oneof(asked, asked, rounds) },
        { weight: 1, arbitrary: events },
      ),
      { minLength: 40, maxLength: 60 },
    ),
  )
  .map(([before, plans, steps]) => [
    ...before,
    ...plans.map((grant): Step => ({ do: 'grant', grant })),
    ...plans.map((_, holder): Step => ({ do: 'credential', holder, minutes: 10, recorded: true })),
    ...steps.flat(),
  ])

/**
 * The context that a decision point gives to policies, declared as policies/schema.cedarschema declares it, without
 * anything that they could not read.
 */
export const schema = `
entity agent = { instance: String, owner: String, labels: Set<String> };
entity tool = { labels: Set<String>, server: String };
type Call = {
  grant: { id: String, task: String, mode: String, approvers: Long, seconds_left: Long },
  proof: String,
  time: { hour: Long, weekday: Long },
  history: { task: ${touchedType('task')}, agent: ${touchedType('agent')}, owner: ${touchedType('owner')} }
};
action "tools/call", "tools/list" appliesTo { principal: [agent], resource: [tool], context: Call };
`

const literal = (value: boolean | bigint | string): Expr => ({ is: 'literal', value })
const variable = (name: 'principal' | 'resource' | 'context'): Expr => ({ is: 'variable', name })
const path = (from: 'principal' | 'resource' | 'context', ...names: string[]): Expr =>
  names.reduce((of: Expr, name): Expr => ({ is: 'get', of, name }), variable(from))
const labels = fc.constantFrom(
  'reads_private',
  'writes',
  'destructive',
  'reads_untrusted',
  'external_send',
  'unlabelled',
  'finance',
)
const someLabels = fc
  .subarray(['reads_private', 'reads_untrusted', 'unlabelled', 'writes'], { minLength: 1 })
  .map((names): Expr => ({ is: 'set', items: names.map(literal) }))
const touched = (whose: string) => path('context', 'history', whose, 'labels')
const setsOfLabels = fc.constantFrom(
  touched('task'),
  touched('agent'),
  path('resource', 'labels'),
  path('principal', 'labels'),
)
const calledInTask = path('context', 'history', 'task', 'calls')

const numbers: fc.Arbitrary<Expr> = fc.oneof(
  { weight: 4, arbitrary: fc.constant(calledInTask) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(path('context', 'grant', 'approvers'), path('context', 'grant', 'seconds_left')),
  },
  fc.constantFrom(path('context', 'time', 'hour'), path('context', 'time', 'weekday')),
  // Overflows from the third call of a task on.
  fc.constant<Expr>({ is: '*', left: calledInTask, right: literal(2n ** 62n) }),
  fc.constant<Expr>({ is: '-', left: literal(3n), right: calledInTask }),
)
const limits = fc.constantFrom(0n, 1n, 2n, 3n, 5n, 9n, 12n, 600n).map(literal)
const atoms: fc.Arbitrary<Expr> = fc.oneof(
  { weight: 4, arbitrary: conditionsOnHistory },
  {
    weight: 5,
    arbitrary: fc.record({ is: fc.constant('contains' as const), left: setsOfLabels, right: labels.map(literal) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      is: fc.constantFrom('containsAny' as const, 'containsAll' as const),
      left: setsOfLabels,
      right: someLabels,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      is: fc.constantFrom('<' as const, '<=' as const, '>' as const, '>=' as const),
      left: numbers,
      right: limits,
    }),
  },
  fc
    .constantFrom('window', 'per_action')
    .map((mode): Expr => ({ is: '==', left: path('context', 'grant', 'mode'), right: literal(mode) })),
  fc
    .constantFrom('agent_signed', 'point_asserted')
    .map((proof): Expr => ({ is: '!=', left: path('context', 'proof'), right: literal(proof) })),
  fc
    .constantFrom('ann', 'bob')
    .map((owner): Expr => ({ is: '==', left: path('principal', 'owner'), right: literal(owner) })),
  fc
    .constantFrom<(string | null)[]>('erp', null)
    .map((part): Expr => ({ is: 'like', of: path('resource', 'server'), pattern: [part, null] })),
  // An agent that does not exist and has no owner.
  fc.constant<Expr>({
    is: '==',
    left: { is: 'get', of: { is: 'uid', uid: { type: 'agent', id: 'nobody' } }, name: 'owner' },
    right: literal('ann'),
  }),
)
const conditions: fc.Arbitrary<Expr> = fc.oneof(
  { weight: 3, arbitrary: atoms },
  { weight: 3, arbitrary: fc.record({ is: fc.constantFrom('&&' as const, '||' as const), left: atoms, right: atoms }) },
  atoms.map((of): Expr => ({ is: 'not', of })),
  fc.record({ is: fc.constant('if' as const), test: atoms, yes: atoms, no: atoms }),
)
const scopes: fc.Arbitrary<Scope> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Scope>({}) },
  fc.constantFrom(...toolIds).map((id) => ({ eq: { type: 'tool', id } })),
)

/** A permit for all, mostly without conditions, and the policies that oppose it. */
export const policySets: fc.Arbitrary<Policy[]> = fc
  .tuple(
    fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, conditions),
    fc.array(
      fc.record({
        effect: fc.constantFrom('forbid' as const, 'forbid' as const, 'permit' as const),
        resource: scopes,
        body: conditions,
        kind: fc.constantFrom('when' as const, 'unless' as const),
      }),
      { maxLength: 2 },
    ),
  )
  .map(([first, others]): Policy[] => [
    {
      id: 'granted',
      effect: 'permit',
      principal: { type: 'agent' },
      action: {},
      resource: {},
      conditions: first ? [{ kind: 'when', body: first }] : [],
    },
    ...others.map(
      ({ effect, resource, body, kind }, n): Policy => ({
        id: `p${n}`,
        effect,
        principal: {},
        action: {},
        resource,
        conditions: [{ kind, body }],
      }),
    ),
  ])
