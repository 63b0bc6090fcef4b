import type { Approver, Authorization, Entity, EntityType, Rule, ServiceKey } from '@bailiwick/contracts'
import {
  generateKey,
  jcsHash,
  publicKeyOf,
  type SigningKey,
  signGenesisStatement,
  type Trust,
} from '@bailiwick/credentials'
import type { AuthorizationCheck, FirstChange, TakenRecovery } from './authorization-check.ts'
import { buildRegistryStatement, type RegistryFacts } from './build-statement.ts'
import { anApprover, aPasskey, aRule, byId, iso, now, type TestPasskey, trust } from './samples.test-data.ts'
import { verifyAuthorization } from './verify-authorization.ts'

export const root = generateKey('root')
export const invitationKey = generateKey('invitation')
export const anchor = {
  trust: {
    ...trust,
    v: 1,
    root: { jwk: root.publicJwk },
    invitation: { jwk: invitationKey.publicJwk },
    log: { vkey: 'log.example+00000000+AQ==' },
    public_url: 'https://console.example',
    created_at: iso(now),
  } as Trust,
  root: publicKeyOf(root),
  invitation: publicKeyOf(invitationKey),
}
export const singleOperator = { ...anchor, trust: { ...anchor.trust, single_operator: true } }

export const keys = { anna: aPasskey(), ben: aPasskey(), carl: aPasskey() }
export const anna = anApprover('anna', ['registry'], keys.anna)
export const ben = anApprover('ben', ['registry', 'finance'], keys.ben)
export const carl = anApprover('carl', ['finance'], keys.carl)
export const recoveries: ReadonlyMap<string, TakenRecovery> = new Map()
export const serviceKeys: ReadonlyMap<string, ServiceKey> = new Map()
export const bare = {
  recoveries,
  serviceKeys,
  begun: undefined as string | undefined,
  first: [] as readonly FirstChange[],
  takesTwo: false,
}
export const genesis = { approvers: byId<Approver>(), rules: byId<Rule>(), enrolled: false, ...bare }
export const living = { approvers: byId(anna, ben, carl), rules: byId(aRule()), enrolled: true, ...bare }
export const governed = {
  ...living,
  rules: byId(aRule({ id: 'registry', approvers: { group: 'registry', quorum: 1 } })),
}

export type Over = Partial<AuthorizationCheck>

/** A change of one entity, by default the first version of a rule. */
export function change(type: EntityType, value: Entity, over: Over = {}) {
  return {
    entity: { type, id: value.id },
    version: 1,
    before: undefined,
    value,
    after: jcsHash(value),
    at: now,
    ...over,
  }
}
export type Change = ReturnType<typeof change>

export const rule = change('rule', aRule())
export const changedRule = change('rule', aRule({ order: 5 }), { version: 2, before: jcsHash(aRule()) })
export const retiredRule = { ...changedRule, value: undefined, after: undefined }

export function byRoot(
  { entity, version, after = jcsHash('') }: Change,
  over: object = {},
  key: SigningKey<'root'> = root,
) {
  const signed = { installation: trust.installation, entity_type: entity.type, entity_id: entity.id, version, after }
  return { kind: 'root', jws: signGenesisStatement({ ...signed, ...over }, key) } as const
}

export function byApprovers(
  changes: Change[],
  by: TestPasskey[] = [keys.anna, keys.ben],
  over: Partial<RegistryFacts> = {},
) {
  const statement = buildRegistryStatement({
    installation: trust.installation,
    change_id: 'req_01234567890123456789',
    proposer: 'olga',
    entities: changes.map(({ entity, version, before, after }) => ({
      ...entity,
      version,
      ...(before === undefined ? {} : { before }),
      ...(after === undefined ? {} : { after }),
    })),
    not_after: iso(now + 60_000),
    nonce: 'AAAAAAAAAAAAAAAAAAAAAA',
    now,
    ...over,
  })
  return { kind: 'approvers', statement, assertions: by.map((passkey) => passkey.sign(statement)) } as const
}

export const verify = (of: Change, authorization: Authorization, over: Over = {}) =>
  verifyAuthorization({ ...of, authorization, registry: living, anchor, ...over } as AuthorizationCheck)
export const ok = { ok: true }
export const no = (detail: string) => ({ ok: false, code: 'registry_change_refused', detail })
