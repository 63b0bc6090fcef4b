import { expect, it } from 'vitest'
import { bothOf, said } from './compiled.fixture.ts'
import { compilePolicy, isInScope } from './compiled-policy.ts'
import { PolicyIndex } from './policy-index.ts'
import type { EntityData, Situation } from './situation.ts'
import { CedarRecord, Entity } from './values.ts'

const none = new Map()
const situation = (
  principal: string,
  resource: string,
  groups: Readonly<Record<string, string[]>> = {},
): Situation => ({
  principal: new Entity({ type: 'User', id: principal }),
  action: new Entity({ type: 'Action', id: 'read' }),
  resource: new Entity({ type: 'Doc', id: resource }),
  context: new CedarRecord(none),
  entity: (key): EntityData | undefined => {
    const ancestors = groups[key]
    return ancestors && { attributes: none, tags: none, ancestors: new Set(ancestors) }
  },
})
const indexOf = (text: string) => {
  const policies = Array.from(bothOf(text).set.policies.values(), compilePolicy)
  return { policies, index: new PolicyIndex(policies) }
}
const idsOf = (policies: readonly { id: string }[]) => policies.map(({ id }) => id).sort()

it('finds each policy that may apply once, by each kind of scope', () => {
  const { policies, index } = indexOf(`
    @id("all") permit (principal, action, resource);
    @id("r") permit (principal, action, resource == Doc::"1");
    @id("p") permit (principal == User::"ann", action, resource);
    @id("a") permit (principal, action == Action::"read", resource);
    @id("as") permit (principal, action in [Action::"read", Action::"all", Action::"write"], resource);
    @id("pin") permit (principal in Team::"a", action, resource);
    @id("rin") permit (principal, action, resource in Doc::"1");
    @id("pis") permit (principal is User, action, resource);
    @id("ris") permit (principal, action, resource is Doc in Folder::"f");
    @id("not r") permit (principal, action, resource == Doc::"2");
    @id("not a") permit (principal, action in [], resource);
    @id("not pis") permit (principal is Team, action, resource);`)
  const asked = situation('ann', '1', { 'User ann': ['Team a'], 'Doc 1': ['Folder f'], 'Action read': ['Action all'] })
  const found = index.candidates(asked)
  expect(idsOf(found)).toEqual(['a', 'all', 'as', 'p', 'pin', 'pis', 'r', 'rin', 'ris'])
  expect(idsOf(policies.filter((policy) => isInScope(policy, asked)))).toEqual(idsOf(found))
})

it('looks at few policies of many, by each way in which they may differ (V18)', () => {
  const many = (scope: (n: number) => string) =>
    Array.from({ length: 300 }, (_, n) => `permit (${scope(n)});`).join('\n')
  const groups = { 'User 7': ['Team 7'], 'Doc 7': ['Folder 7'] }
  for (const scope of [
    (n: number) => `principal == User::"${n}", action == Action::"read", resource == Doc::"1"`,
    (n: number) => `principal == User::"1", action == Action::"read", resource == Doc::"${n}"`,
    (n: number) => `principal in Team::"${n}", action, resource is Doc`,
    (n: number) => `principal is User, action in [Action::"read", Action::"write"], resource is Doc in Folder::"${n}"`,
  ])
    expect(indexOf(many(scope)).index.candidates(situation('7', '7', groups)).length).toBeLessThanOrEqual(1)
})

it('applies a policy for several groups once', () => {
  const both = bothOf('permit (principal, action in [Action::"read", Action::"all"], resource);')
  const entities = [{ uid: { type: 'Action', id: 'read' }, attrs: {}, parents: [{ type: 'Action', id: 'all' }] }]
  expect(said(both, { entities })).toEqual({ decision: 'allow', reason: ['p.cedar#0'], erred: [] })
})
