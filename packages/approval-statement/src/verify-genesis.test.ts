import type { Approver, Authorization, Rule } from '@bailiwick/contracts'
import {
  generateKey,
  genesisCommitment,
  jcsHash,
  publicKeyOf,
  signGenesisStatement,
  signInvitation,
  type Trust,
} from '@bailiwick/credentials'
import { expect, it } from 'vitest'
import type { AuthorizationCheck } from './authorization-check.ts'
import { anApprover, aPasskey, aRule, byId, now, trust } from './samples.test-data.ts'
import { verifyAuthorization } from './verify-authorization.ts'

const [root, invitation] = [generateKey('root'), generateKey('invitation')]
const anna = anApprover('anna', ['registry'], aPasskey())
const { installation } = trust

type Value = Rule | Approver
const after = (value: Value) => jcsHash(value)
const statement = (value: Rule) => ({
  ...{ installation, entity_type: 'rule', entity_id: value.id, version: 1 },
  after: after(value),
})
const byRoot = (value: Rule): Authorization => ({ kind: 'root', jws: signGenesisStatement(statement(value), root) })

/** Whether a change counts in a registry that begins with `before` and whose trust.json commits to this genesis. */
function judgeIn(genesis: readonly Rule[]) {
  const committed = { ...trust, genesis: genesisCommitment(genesis.map(statement)) } as Trust
  return (value: Value, type: 'rule' | 'approver', authorization: Authorization, before: readonly Rule[]) =>
    verifyAuthorization({
      ...{ authorization, entity: { type, id: value.id }, version: 1, before: undefined },
      ...{ value, after: after(value), at: now },
      registry: {
        ...{ approvers: byId<Approver>(), rules: byId<Rule>(), enrolled: false, recoveries: new Map() },
        ...{ serviceKeys: new Map(), begun: undefined, takesTwo: false },
        first: before.map((rule) => ({ type: 'rule', id: rule.id, version: 1, after: after(rule) })),
      },
      anchor: { trust: committed, root: publicKeyOf(root), invitation: publicKeyOf(invitation) },
    } satisfies AuthorizationCheck)
}

const ok = { ok: true }
const no = (detail: string) => ({ ok: false, code: 'registry_change_refused', detail })
const [one, two, three, four] = ['one', 'two', 'three', 'four'].map((id) => aRule({ id })) as [Rule, Rule, Rule, Rule]

it('takes the genesis that trust.json commits to, whole and in its order (V3)', async () => {
  const judge = judgeIn([one, two, three])
  const next = (value: Rule, before: readonly Rule[]) => judge(value, 'rule', byRoot(value), before)
  expect(await next(one, [])).toEqual(ok)
  expect(await next(two, [one])).toEqual(ok)
  expect(await next(three, [one, two])).toEqual(ok)
  const other = no('root: not the genesis that trust.json commits to')
  expect(await next(three, [two, one])).toEqual(other)
  expect(await next(two, [one, three])).toEqual(other)
  expect(await next(four, [one, two])).toEqual(other)
})

it('takes nothing else while a part of the genesis is missing, so no approver is enrolled (V3)', async () => {
  const judge = judgeIn([one, two, three])
  const { credential_id = '', public_key = '' } = anna.credentials[0] ?? {}
  const person = { approver_id: anna.id, name: anna.name, groups: anna.groups, credential_id, public_key }
  const invited: Authorization = { kind: 'invitation', jws: signInvitation({ installation, ...person }, invitation) }
  const missing = no('the genesis is not whole')
  expect(await judge(anna, 'approver', invited, [one, two])).toEqual(missing)
  const byPeople = { kind: 'approvers', statement: {}, assertions: [] } as unknown as Authorization
  expect(await judge(four, 'rule', byPeople, [one, two])).toEqual(missing)
  expect(await judge(anna, 'approver', invited, [one, two, three])).toEqual(ok)
})
