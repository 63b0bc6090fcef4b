import type { Approver, Authorization, Entity, EntityType, Recovery } from '@bailiwick/contracts'
import {
  generateKey,
  type Invitation,
  jcsHash,
  publicKeyOf,
  type SigningKey,
  signGenesisStatement,
  signInvitation,
  type Trust,
} from '@bailiwick/credentials'
import { expect, it } from 'vitest'
import type { AuthorizationCheck, TakenRecovery } from './authorization-check.ts'
import { buildRegistryStatement } from './build-statement.ts'
import { anApprover, aPasskey, aRule, byId, iso, now, trust } from './samples.test-data.ts'
import { verifyAuthorization } from './verify-authorization.ts'
import { recoveryDelayMs } from './verify-enrolment.ts'

const root = generateKey('root')
const held = generateKey('invitation')
const passkeys = { anna: aPasskey(), ben: aPasskey(), fresh: aPasskey() }
const anna = anApprover('anna', ['owners'], passkeys.anna)
const ben = anApprover('ben', ['owners'], passkeys.ben)
/** Anna after her new enrolment: one passkey, and none of the lost ones. */
const again = anApprover('anna', ['owners'], passkeys.fresh)
const recovery: Recovery = {
  id: 'rcv-1',
  jwk: held.publicJwk as Recovery['jwk'],
  approver_id: 'anna',
  name: again.name,
  groups: ['owners'],
}
const takenAt = now - recoveryDelayMs
const anchor = {
  trust: { ...trust, v: 1 } as Trust,
  root: publicKeyOf(root),
  invitation: publicKeyOf(generateKey('invitation')),
}
const withRecovery = (over: Partial<TakenRecovery> = {}) => ({
  approvers: byId(anna, ben),
  rules: byId(aRule()),
  enrolled: true,
  serviceKeys: new Map(),
  begun: undefined,
  first: [],
  takesTwo: false,
  recoveries: new Map([[recovery.id, { value: recovery, takenAt, used: false, ...over }]]),
})

interface Told extends Partial<AuthorizationCheck> {
  type?: EntityType
}
const verify = (value: Entity | undefined, authorization: Authorization, { type = 'approver', ...over }: Told = {}) =>
  verifyAuthorization({
    ...{ entity: { type, id: value?.id ?? 'anna' }, version: 2, before: jcsHash(anna), value },
    after: value && jcsHash(value),
    ...{ at: now, registry: withRecovery(), anchor, authorization },
    ...over,
  })

function signed(of: Approver = again, over: Partial<Invitation> = {}, key: SigningKey<'invitation'> = held) {
  const { credential_id = '', public_key = '' } = of.credentials[0] ?? {}
  const { id: approver_id, name, groups } = of
  const { installation } = trust
  return signInvitation({ installation, credential_id, public_key, approver_id, name, groups, ...over }, key)
}
const by = (jws: string, id = recovery.id): Authorization => ({ kind: 'recovery', recovery: id, jws })
const ok = { ok: true }
const no = (detail: string) => ({ ok: false, code: 'registry_change_refused', detail })

it('enrols whom the root named with the passkey that the recovery’s holder signed for, after 24 h (V3)', async () => {
  expect(await verify(again, by(signed()))).toEqual(ok)
  const gone = { ...withRecovery(), approvers: byId(ben) }
  expect(await verify(again, by(signed()), { version: 1, before: undefined, registry: gone })).toEqual(ok)
})

it('enrols no approver before the 24 h are over, by the event’s time and by the bus’s (V3)', async () => {
  const early = no('recovery: its 24 h are not over')
  expect(await verify(again, by(signed()), { at: now - 1 })).toEqual(early)
  expect(await verify(again, by(signed()), { takenAt: now - 1 })).toEqual(early)
  expect(await verify(again, by(signed()), { at: Number.NaN })).toEqual(early)
  expect(await verify(again, by(signed()), { registry: withRecovery({ takenAt: takenAt + 1 }) })).toEqual(early)
})

it('enrols once, and not by a recovery that was retired or never was (V10)', async () => {
  expect(await verify(again, by(signed()), { registry: withRecovery({ used: true }) })).toEqual(no('recovery: used'))
  const unknown = no('recovery: there is none of this name')
  expect(await verify(again, by(signed()), { registry: { ...withRecovery(), recoveries: new Map() } })).toEqual(unknown)
  expect(await verify(again, by(signed(), 'rcv-2'))).toEqual(unknown)
})

it.each<[string, Approver]>([
  ['person', { ...again, id: 'eve' }],
  ['name', { ...again, name: 'Eve' }],
  ['groups', { ...again, groups: ['owners', 'finance'] }],
])('enrols no other %s than the root named (V3)', async (_, value) => {
  expect(await verify(value, by(signed(value)))).toEqual(no('recovery: for another person'))
})

it.each<[string, string]>([
  ['another passkey', signed(again, { credential_id: 'AAAA' })],
  ['another public key', signed(again, { public_key: 'AAAA' })],
  ['another person', signed(again, { approver_id: 'ben' })],
  ['another installation', signed(again, { installation: 'ins_9876543210' })],
  ['the right person, but by another key', signed(again, {}, generateKey('invitation'))],
])('takes no signature of the holder for %s (V3)', async (_, jws) => {
  expect(await verify(again, by(jws))).toMatchObject({ ok: false })
})

it('brings exactly one passkey, and changes nothing but an approver (V3)', async () => {
  const two = anApprover('anna', ['owners'], passkeys.fresh, passkeys.anna)
  expect(await verify(two, by(signed(two)))).toMatchObject({ code: 'invitation_invalid' })
  const rule = aRule()
  const only = no('recovery: enrols an approver, and nothing else')
  expect(await verify(rule, by(signed()), { type: 'rule', version: 1, before: undefined })).toEqual(only)
  expect(await verify(undefined, by(signed()))).toEqual(only)
})

it('is the root key’s to make, once by its name, also when people are enrolled; approvers may retire it (V3)', async () => {
  const statement = { installation: trust.installation, entity_type: 'recovery', entity_id: recovery.id, version: 1 }
  const jws = signGenesisStatement({ ...statement, after: jcsHash(recovery) }, root)
  const type = 'recovery'
  const first = { type, version: 1, before: undefined } as const
  expect(await verify(recovery, { kind: 'root', jws }, first)).toEqual(ok)
  const second = signGenesisStatement({ ...statement, version: 2, after: jcsHash(recovery) }, root)
  const later = { type, version: 2, before: jcsHash(recovery) } as const
  expect(await verify(recovery, { kind: 'root', jws: second }, later)).toEqual(
    no('value: a recovery is registered once'),
  )
  const people = (version: number, before: string | undefined, after: string | undefined): Authorization => {
    const entity = { type: 'recovery' as const, id: recovery.id, version }
    const named = { ...entity, ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) }
    const signed = buildRegistryStatement({
      installation: trust.installation,
      change_id: 'req_01234567890123456789',
      proposer: 'anna',
      entities: [named],
      not_after: iso(now + 60_000),
      nonce: 'AAAAAAAAAAAAAAAAAAAAAA',
      now,
    })
    return { kind: 'approvers', statement: signed, assertions: [passkeys.ben.sign(signed)] }
  }
  expect(await verify(recovery, people(1, undefined, jcsHash(recovery)), first)).toEqual(
    no('approvers: a recovery is the root key’s to make'),
  )
  const retire = { type, version: 2, before: jcsHash(recovery), entity: { type, id: recovery.id } } as const
  expect(await verify(undefined, people(2, jcsHash(recovery), undefined), retire)).toEqual(ok)
})
