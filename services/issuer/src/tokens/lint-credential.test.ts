import type { Grant } from '@bailiwick/contracts'
import { exampleEvent } from '@bailiwick/contracts/examples'
import {
  type AccessToken,
  delegationId,
  generateKey,
  jcsHash,
  type SigningKey,
  signAccessToken,
  signDelegation,
} from '@bailiwick/credentials'
import type { Tree } from '@bailiwick/projection'
import { expect, it } from 'vitest'
import { lintCredential } from './lint-credential.ts'

const issuer = 'https://bailiwick.example'
const key = generateKey('credential')
const [parentKey, subKey] = [generateKey('agent'), generateKey('agent')]
const now = Date.parse('2026-11-24T12:00:00.000Z')
const iat = now / 1000
const iso = (seconds: number) => new Date(seconds * 1000).toISOString()
const sub = 'spiffe://example.org/agent/helper/i1'
const read = { actions: ['tools/call'], resource: { type: 'api', id_prefix: 'https://invoices.example/read/' } }
const all = { actions: ['tools/call'], resource: { type: 'api', id_prefix: 'https://invoices.example/' } }
const authorityOf = (permission: object, calls: number) =>
  ({
    type: 'bailiwick_task',
    task: 't',
    permissions: [permission],
    budget: { calls },
    max_depth: 1,
    max_children: 1,
  }) as const as unknown as Grant['authority']

/** A grant, a delegation under it, the intent, and the correct claims for the sub-agent. */
function situation(granted = authorityOf(all, 10)) {
  const { grant: example } = exampleEvent('grants.v1', 'grant.created').data as { grant: Grant }
  const statement = {
    ...example.statement,
    authority: granted,
    not_before: iso(iat - 60),
    not_after: iso(iat + 400),
    instance_key: parentKey.kid,
  }
  const hash = jcsHash(statement)
  const { agent, as_of, request_id, mode } = statement
  const grant = {
    ...example,
    id: `grt_${hash}`,
    agent,
    statement,
    statement_hash: hash,
    authority: statement.authority,
  }
  const installation = 'ins_0123456789abcdef'
  const link = {
    iss: agent,
    sub,
    aud: installation,
    iat,
    exp: iat + 350,
    jti: 'a'.repeat(22),
    cnf: { jkt: subKey.kid },
  }
  const passedOn = authorityOf(read, 5)
  const more = {
    as_of,
    parent_hash: hash,
    authorization_details: [passedOn] as [Grant['authority']],
    resources: [issuer],
  }
  const delegation = signDelegation({ ...link, grant: grant.id, ...more }, parentKey)
  const id = delegationId(delegation) ?? ''
  const jti = `crd_${'0'.repeat(26)}`
  const intent = {
    credential_id: jti,
    grant_id: grant.id,
    delegation_id: id,
    agent: sub,
    jkt: subKey.kid,
    audience: [issuer],
    issued_at: iso(iat),
    expires_at: iso(iat + 300),
    kid: key.kid,
    issued: false,
  }
  const tree = {
    id: grant.id,
    grant,
    credentials: new Map([[jti, intent]]),
    delegations: new Map([[id, { delegation, authority: passedOn }]]),
  } as unknown as Tree
  const claims: AccessToken = {
    iss: issuer,
    aud: issuer,
    sub: agent,
    client_id: sub,
    iat,
    exp: iat + 300,
    jti,
    cnf: { jkt: subKey.kid },
    authorization_details: [passedOn],
    grant: { id: grant.id, root: grant.id, request: request_id, mode, statement_hash: hash, as_of, delegation: id },
    act: { sub },
  }
  const approved = { tree, client: { instance: sub, jkt: subKey.kid }, audience: [issuer], delegationId: id }
  return { tree, intent, claims, approved, id }
}
type Situation = Pick<ReturnType<typeof situation>, 'tree' | 'intent' | 'claims'> & {
  approved: Parameters<typeof lintCredential>[2]
}

/** The same for the grant's agent, whose claims may be all that was approved. */
function ownSituation(granted?: Grant['authority']): Situation {
  const { tree, intent, claims, approved } = situation(granted)
  const { agent, instance_key: jkt } = tree.grant.statement
  const { delegation: _, ...grant } = claims.grant
  const { act: __, ...said } = claims
  Object.assign(intent, { agent, jkt, delegation_id: undefined })
  return {
    ...{ tree, intent },
    claims: {
      ...{ ...said, client_id: agent, cnf: { jkt }, grant },
      authorization_details: [structuredClone(tree.grant.statement.authority)],
    },
    approved: { ...approved, client: { instance: agent, jkt }, delegationId: undefined },
  }
}

const lint = ({ claims, approved }: Situation, by: SigningKey<'credential'> = key) =>
  lintCredential(signAccessToken(claims, by), { jwk: key.publicJwk as never, issuer, now }, approved)

it('lets out what says what was approved (V4)', async () => {
  await expect(lint(situation())).resolves.toBeUndefined()
})

/** Changes the claims and the intent with them, so that only the fault itself is wrong. */
const saying = (change: Partial<AccessToken>) => (it: Situation) => void Object.assign(it.claims, change)

it.each<[what: string, fault: string, spoil: (it: Situation) => void]>([
  ['for which no intent is on the log', 'intent', ({ tree }) => tree.credentials.clear()],
  ['whose intent was served before', 'intent', ({ intent }) => void Object.assign(intent, { issued: true })],
  ['by another key than was intended', 'intent', ({ intent }) => void Object.assign(intent, { kid: parentKey.kid })],
  ['with another id than was intended', 'intent', saying({ jti: `crd_${'1'.repeat(26)}` })],
  ['that lives longer than was intended', 'intent', saying({ exp: iat + 301 })],
  ['in the name of another agent', 'subject', saying({ sub: 'spiffe://example.org/agent/other/i1' })],
  [
    'for another client than proved itself',
    'client',
    (it) => {
      it.claims.client_id = 'spiffe://example.org/agent/other/i1'
      it.intent.agent = it.claims.client_id
    },
  ],
  [
    'for another key than was proved',
    'key',
    (it) => {
      it.claims.cnf = { jkt: parentKey.kid }
      it.intent.jkt = parentKey.kid
    },
  ],
  [
    'for one more API than was asked for',
    'audience',
    (it) => {
      it.claims.aud = [issuer, 'https://elsewhere.example']
      it.intent.audience = [issuer, 'https://elsewhere.example']
    },
  ],
  [
    'that outlives the delegation',
    'expiry',
    (it) => {
      it.claims.exp = iat + 351
      it.intent.expires_at = iso(iat + 351)
    },
  ],
  [
    'under another statement',
    'grant',
    ({ claims }) => void Object.assign(claims.grant, { statement_hash: 'A'.repeat(43) }),
  ],
  ['that knew of more revocations than the people did', 'grant', ({ claims }) => void claims.grant.as_of++],
  ['with more budget than was passed on', 'authority', saying({ authorization_details: [authorityOf(read, 6)] })],
  ['with all that the grant may do', 'authority', saying({ authorization_details: [authorityOf(all, 5)] })],
  ['that leaves out who acts', 'act', ({ claims }) => void delete claims.act],
  ['with one more actor in the chain', 'act', saying({ act: { sub, act: { sub } } })],
])('keeps back a credential %s (V4, V5)', async (_, fault, spoil) => {
  const it = situation()
  spoil(it)
  await expect(lint(it)).rejects.toMatchObject({
    code: 'invariant_broken',
    detail: expect.stringMatching(`: ${fault}$`),
  })
})

it('keeps back a credential of a sub-agent that what was passed on does not list (V4, V5)', async () => {
  const listing = (...delegates: string[]) => ({ ...authorityOf(all, 10), delegates }) as Grant['authority']
  for (const [agents, fault] of [
    [['spiffe://example.org/agent/helper'], 'out'],
    [['spiffe://example.org/agent/other'], 'delegates'],
    [[sub], 'delegates'],
    [[], 'delegates'],
  ] as const) {
    const it = situation(listing(...agents))
    const details = [{ ...authorityOf(read, 5), max_depth: 0, delegates: [] }]
    const said = Object.assign(it.claims, { authorization_details: details })
    expect(said.act).toEqual({ sub })
    const told = await lint(it).then(
      () => 'out',
      ({ detail }) => String(detail).split(': ').at(-1),
    )
    expect([agents, told]).toEqual([agents, fault])
  }
})

it('lets out the whole of what was approved, and what is less, and no more (V4, V5)', async () => {
  const saying = (authority: Grant['authority']) => {
    const own = ownSituation()
    own.claims.authorization_details = [authority]
    return lint(own)
  }
  await expect(lint(ownSituation())).resolves.toBeUndefined()
  await expect(saying(authorityOf(read, 10))).resolves.toBeUndefined()
  await expect(saying(authorityOf(all, 11))).rejects.toMatchObject({ detail: expect.stringMatching(/: authority$/) })
})

it('withholds a credential with the approved authority if it has an unknown member (V4)', async () => {
  const own = ownSituation({ ...authorityOf(all, 10), only_on: 'sundays' })
  await expect(lint(own)).rejects.toMatchObject({ detail: expect.stringMatching(/: authority$/) })
})

it('keeps back what another key signed than the registry has (V12)', async () => {
  await expect(lint(situation(), generateKey('credential'))).rejects.toMatchObject({ code: 'invariant_broken' })
})
