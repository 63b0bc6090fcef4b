import type { Authority, Permission } from '@bailiwick/authority'
import fc from 'fast-check'
import type { Fact, Whose } from './history.ts'
import type { GrantPlan, Step } from './stories.ts'

// Stories in which the past decides. They first establish a fact, by construction and not by chance, and then continue
// with anything that changes it.

const permission = (id: string): Permission => ({
  actions: ['tools/call'],
  resource: { type: 'tool', id },
  where: { '/amount': { max: '10' } },
  cost: { amount: '/amount', currency: '/currency' },
})
const authority: Authority = {
  type: 'bailiwick_task',
  task: 't',
  permissions: ['erp/read', 'erp/pay', 'web/get', 'web/send'].map(permission),
  budget: { cost: { EUR: '500', USD: '500' } },
  max_depth: 3,
  max_children: 5,
}
/** Instances: 0 and 3 are alpha's, 1 is beta's, and 2 is gamma's, which has the same owner as beta. */
const grant = (party: 0 | 1 | 2 | 3): Step => {
  const plan: GrantPlan = { party, authority, perAction: false, startsIn: 0, minutes: 480, behind: 0, approvers: 1 }
  return { do: 'grant', grant: plan }
}
const credential = (holder: number): Step => ({ do: 'credential', holder, minutes: 10, recorded: true })
type Call = Extract<Step, { do: 'call' }>
/** By number in the authority; multiples of 5 would be any tool. */
const [read, pay] = [4, 1]
const call = (of: number, tool: number, amount = '1'): Call => ({
  do: 'call',
  credential: of,
  tool,
  amount,
  currency: 'EUR',
  point: 0,
  signed: true,
  answerBytes: undefined,
})

const delegate = (holder: number, to: number): Step => ({
  do: 'delegate',
  holder,
  to,
  part: 'all',
  flaw: 'none',
  minutes: 60,
})
/**
 * Alpha delegates its task to beta, and beta to gamma, which acts with the third credential. Beta also has a task of
 * its own, the second.
 */
const passedOn = [grant(0), grant(1), delegate(0, 3), delegate(2, 2), credential(0), credential(1), credential(3)]

/**
 * Establishes the fact, then makes a call that it forbids: in the same task, in another task of the same agent, or in a
 * task of another agent of the same owner. The sub-agent of a sub-agent acts for those above it.
 */
function deciding(whose: Whose, of: Fact, often: number): Step[] {
  const asked = call(whose === 'task' ? 0 : 1, pay)
  const deeds = (step: Step) => Array.from({ length: often }, () => step)
  const begin = [...(whose === 'owner' ? [grant(1), grant(2)] : [grant(0), grant(3)]), credential(0), credential(1)]
  switch (of) {
    case 'denials': {
      if (whose === 'agent' && often === 2) return [...passedOn, ...deeds(call(2, read, '11')), asked]
      return [...begin, ...deeds(call(0, read, '11')), asked]
    }
    case 'depth':
      return [...begin, delegate(0, 1), credential(2), call(2, read), asked]
    default:
      return [...begin, ...deeds(call(0, pay)), asked]
  }
}

const some = fc.nat(20)
const tail: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc
      .record({
        of: some,
        tool: fc.constantFrom(1, 1, 1, 2, 3, 4, 20),
        amount: fc.constantFrom('1', '1', '0.000001', '2.5', '11'),
        currency: fc.constantFrom('EUR', 'EUR', 'EUR', 'USD'),
      })
      .map(({ of, tool, amount, currency }): Step => ({ ...call(of, tool, amount), currency })),
  },
  { weight: 3, arbitrary: some.map(credential) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('delegate' as const),
      holder: some,
      to: some,
      part: fc.constant('all' as const),
      flaw: fc.constant('none' as const),
      minutes: fc.constant(60),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('outcome' as const),
      allowed: some,
      status: fc.constantFrom('not_executed' as const, 'not_executed' as const, 'succeeded' as const),
      bytes: fc.constant(undefined),
      cost: fc.constantFrom(undefined, '0', '0.4'),
      point: fc.constantFrom(0, 0, 0, 1),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('pass' as const), minutes: fc.constantFrom(0.5, 1, 3, 6, 200) }),
  },
)

export const historiesOf = (whose: Whose, of: Fact, often: number): fc.Arbitrary<Step[]> =>
  fc.array(tail, { minLength: 20, maxLength: 30 }).map((steps) => [...deciding(whose, of, often), ...steps])
