import { expect, it } from 'vitest'
import { contextReads, readsWhole } from './policy-reads.ts'
import { parsePolicySet } from './policy-set.ts'

const policiesOf = (text: string) => parsePolicySet(new Map([['a.cedar', Buffer.from(text)]])).policies.values()
const agents = (condition: string) =>
  contextReads(policiesOf(`permit (principal, action, resource) ${condition};`))(['history', 'agent'])

it.each([
  'when { context.history.agent.labels.contains("x") }',
  'when { context["history"]["agent"].calls > 3 }',
  'unless { context.history.agent.last has x && context.history.agent.last.x < 3 }',
  'when { context.history has agent }',
  'when { context has history }',
  'when { context has history.agent.labels }',
  'when { context.history == {} }',
  'when { resource.seen == context }',
  'when { (if principal.x then context else context).history.agent.calls > 1 }',
  'when { [context.history.task.calls, context.history.agent.calls].contains(1) }',
  'when { {a: context.history}.a.agent.calls > 1 }',
])('knows that a policy may look at what the agent did elsewhere: %s (V13)', (condition) => {
  expect(agents(condition)).toBe(true)
})

it.each([
  '',
  'when { context.history.task.labels.contains("agent") }',
  'when { context.grant.agent == "x" && principal.history.agent }',
  'when { context.history.task.last has agent }',
  'when { {agent: 1}.agent == context.history.task.calls }',
])('knows that a policy does not: %s', (condition) => {
  expect(agents(condition)).toBe(false)
})

it('knows it of the owner in the same way, and tells the two apart', () => {
  const reads = contextReads(
    policiesOf('permit (principal, action, resource) when { context.history.owner.calls > 1 };'),
  )
  expect([reads(['history', 'owner']), reads(['history', 'agent'])]).toEqual([true, false])
})

it('asks it of each of a set', () => {
  const policies = policiesOf(
    'permit (principal, action, resource); forbid (principal, action, resource) when { context.history.agent.calls > 3 };',
  )
  expect(contextReads(policies)(['history', 'agent'])).toBe(true)
})

it.each<[condition: string, whole: boolean]>([
  ['when { context.history.agent.calls > 1 }', false], // read by its name
  ['when { context.history has agent }', false],
  ['when { context has history }', false],
  ['when { context.history.task.calls > 1 }', false], // another member
  ['', false],
  ['when { context.history.agent == {} }', false],
  ['when { context.grant == {} }', false],
  ['when { context.grant.agent == {} }', false],
  ['when { context.history == {} }', true],
  ['when { resource.seen == context }', true],
  ['when { principal.x && [1, context.history.task.calls].contains({a: context.history}) }', true],
  ['when { true } unless { context.history == principal.x }', true],
])('tells who looks at something that holds a member, and not at it by its name: %s', (condition, whole) => {
  const policies = [...policiesOf(`permit (principal, action, resource) ${condition};`)]
  expect(policies.map((policy) => readsWhole(policy, ['history', 'agent']))).toEqual([whole])
})
