import type { EnforcementPoint } from '@bailiwick/contracts'
import {
  type AccessToken,
  actionDigest,
  generateKey,
  makeDpopProof,
  proofId,
  publicKeyOf,
  signAccessToken,
} from '@bailiwick/credentials'
import { expect, it } from 'vitest'
import { readToken } from './credential.ts'
import { agent, now } from './living-call.fixture.ts'
import { verified, verifiedForSearch } from './table.ts'

const issuer = 'https://bailiwick.example'
const base = 'https://pep.example/erp/'
const [credentialKey, agentKey, otherKey] = [generateKey('credential'), generateKey('agent'), generateKey('agent')]
const action = { name: 'tools/call', properties: { n: 1 } }
const resource = { type: 'tool', id: 'erp/read' }
const digest = actionDigest({ ...action, resource })
const hash = 'A'.repeat(43)
const claims: AccessToken = {
  iss: issuer,
  aud: base,
  sub: agent,
  client_id: agent,
  iat: now / 1000 - 10,
  exp: now / 1000 + 60,
  jti: `crd_${'1'.repeat(26)}`,
  cnf: { jkt: agentKey.kid },
  authorization_details: [{ type: 'bailiwick_task' }],
  grant: {
    id: `grt_${hash}`,
    root: `grt_${hash}`,
    request: `req_${'1'.repeat(26)}`,
    mode: 'window',
    statement_hash: hash,
    as_of: 0,
  },
}
const verifying = publicKeyOf(credentialKey)
const point = { resources: [{ type: 'tool', id_prefix: 'erp/' }], base_urls: [base] } as unknown as EnforcementPoint

const world = (verdict = 'accepted') => {
  const shown: unknown[] = []
  const pdp = {
    trust: { public_url: issuer },
    clock: { now: () => now },
    keyRing: {
      find: (kid: string, purpose: string) =>
        kid === credentialKey.kid && purpose === 'credential' ? { ok: true, value: verifying } : { ok: false },
    },
    proofs: { accept: async (...proof: unknown[]) => shown.push(proof) && verdict },
  }
  return { pdp: pdp as never, shown }
}

interface Call {
  token?: Partial<AccessToken>
  credential?: string | undefined
  proof?: Partial<Parameters<typeof makeDpopProof>[0]>
  key?: typeof agentKey
  observed?: object
  digest?: string | undefined
  resource?: typeof resource
  point?: object
}

function asked({ token, proof, key = agentKey, observed, ...over }: Call) {
  const credential = over.credential ?? signAccessToken({ ...claims, ...token }, credentialKey)
  const signed = {
    htm: 'POST',
    htu: `${base}mcp`,
    jti: 'proof-1-proof-1-proof-1',
    now,
    accessToken: credential,
    actionDigest: digest,
  }
  const request = {
    resource: over.resource ?? resource,
    action,
    digest: 'digest' in over ? over.digest : digest,
    observed: {
      credential,
      proof: makeDpopProof({ ...signed, ...proof }, key),
      htm: 'POST',
      htu: `${base}mcp`,
      action_digest: digest,
      ...observed,
    },
  }
  return { point: { ...point, ...over.point } as EnforcementPoint, request: request as never }
}

const reasonOf = (call: Call) => {
  const { point, request } = asked(call)
  const read = verifiedForSearch.take({ point, request }, world().pdp)
  return read.refused ?? read.facts.proof
}

it.each<[reason: string, call: Call]>([
  ['agent_signed', {}],
  ['point_asserted', { proof: { actionDigest: undefined } }],
  ['agent_signed', { observed: { action_digest: undefined } }],
  ['agent_signed', { token: { aud: [issuer] } }],
  ['agent_signed', { observed: { htu: base }, proof: { htu: base } }],
  ['agent_signed', { observed: { htu: base.slice(0, -1) }, proof: { htu: base.slice(0, -1) } }],
  ['agent_signed', { point: { base_urls: ['https://another.example/', base] } }],
  ['agent_signed', { point: { resources: [{ type: 'api' }, { type: 'tool', id: 'erp/read' }] } }],
  ['agent_signed', { point: { resources: [{ type: 'tool' }] } }],
  ['pep_out_of_scope', { point: { resources: [] } }],
  ['pep_out_of_scope', { point: { resources: [{ type: 'api', id_prefix: 'erp/' }] } }],
  ['pep_out_of_scope', { point: { resources: [{ type: 'tool', id: 'erp/' }] } }],
  ['pep_out_of_scope', { resource: { type: 'tool', id: 'xerp/read' } }],
  ['credential_missing', { observed: { credential: undefined } }],
  ['credential_malformed', { credential: 'x' }],
  ['credential_invalid', { credential: signAccessToken(claims, generateKey('credential')) }],
  ['credential_audience_wrong', { token: { aud: 'https://another.example/' } }],
  ['credential_audience_wrong', { token: { iss: 'https://another.example' } }],
  ['credential_expired', { token: { exp: now / 1000 } }],
  // The issuer's clock may be ahead by as much as its heads may, and a credential that it has just signed is valid at once.
  ['agent_signed', { token: { iat: now / 1000 + 1 } }],
  ['credential_expired', { token: { iat: now / 1000 + 2 } }],
  ['proof_missing', { observed: { proof: undefined } }],
  ['proof_missing', { observed: { htm: undefined } }],
  ['proof_missing', { observed: { htu: undefined } }],
  ['pep_out_of_scope', { observed: { htu: 'https://pep.example/' } }],
  ['pep_out_of_scope', { observed: { htu: 'https://pep.example/erpx' } }],
  ['pep_out_of_scope', { observed: { htu: 'no url' } }],
  ['pep_out_of_scope', { point: { base_urls: ['no url'] }, token: { aud: issuer } }],
  ['action_digest_mismatch', { observed: { action_digest: hash } }],
  ['action_digest_mismatch', { digest: undefined, observed: { action_digest: undefined } }],
  ['proof_invalid', { observed: { htm: 'GET' } }],
  ['proof_invalid', { observed: { htu: `${base}other` } }],
  ['proof_invalid', { proof: { accessToken: 'another' } }],
  ['proof_invalid', { proof: { now: now - 3_600_000 } }],
  ['proof_key_mismatch', { key: otherKey }],
  ['proof_action_mismatch', { proof: { actionDigest: hash } }],
])('%s, of call %# (V11)', (reason, call) => {
  expect(reasonOf(call)).toBe(reason)
})

it('names the credential’s agent only once its signature holds', () => {
  const { pdp } = world()
  const refused = (call: Call) => {
    const { point, request } = asked(call)
    return verifiedForSearch.take({ point, request }, pdp)
  }
  expect(refused({ observed: { proof: undefined } })).toMatchObject({
    refused: 'proof_missing',
    facts: { token: { sub: agent } },
  })
  expect(refused({ key: otherKey })).toMatchObject({ facts: { token: { sub: agent } } })
  expect(refused({ token: { exp: now / 1000 } })).not.toHaveProperty('facts.token')
  expect(readToken(pdp, point, signAccessToken(claims, credentialKey))).toEqual({
    token: claims,
    kid: credentialKey.kid,
  })
})

it('takes a proof once, by its key and its id (V10)', async () => {
  const { point, request } = asked({ proof: { nonce: 'nonce' } })
  const verdict = (pdp: never) => verified.takeWaiting({ point, request }, pdp)
  const { pdp, shown } = world()
  const id = proofId({ jkt: agentKey.kid, jti: 'proof-1-proof-1-proof-1' })
  expect(await verdict(pdp)).toMatchObject({ facts: { digest, kid: credentialKey.kid, token: claims, proofId: id } })
  expect(shown).toEqual([[id, expect.any(Number), 'nonce']])
  expect(await verdict(world('replayed').pdp)).toMatchObject({ refused: 'proof_replayed', facts: { token: claims } })
  expect(await verdict(world('nonce_required').pdp)).toMatchObject({
    refused: 'proof_nonce_required',
    facts: { token: claims },
  })
  const { shown: none, pdp: other } = world()
  const outside = asked({ resource: { type: 'tool', id: 'x' } })
  expect((await verified.takeWaiting(outside, other)).refused).toBe('pep_out_of_scope')
  expect(none).toEqual([]) // a call that is refused before the proof uses up no proof
})

it.each([
  ['pep_out_of_scope', 'credential_malformed', 'proof_missing', 'action_digest_mismatch'],
  ['pep_out_of_scope', 'proof_missing', 'action_digest_mismatch', 'proof_invalid'],
  ['credential_malformed', 'action_digest_mismatch', 'proof_key_mismatch'],
  ['proof_missing', 'wrong address', 'action_digest_mismatch', 'proof_invalid'],
  ['wrong address', 'action_digest_mismatch', 'proof_key_mismatch'],
  ['proof_invalid', 'proof_key_mismatch', 'proof_action_mismatch'],
])('the first refusal wins: %s', (...faults) => {
  const calls: Record<string, Call> = {
    pep_out_of_scope: { point: { resources: [] } },
    credential_malformed: { credential: 'x' },
    proof_missing: { observed: { htm: undefined } },
    'wrong address': { observed: { htu: 'https://pep.example/' } },
    action_digest_mismatch: { observed: { action_digest: hash } },
    proof_invalid: { proof: { now: now - 3_600_000 } },
    proof_key_mismatch: { key: otherKey },
    proof_action_mismatch: { proof: { actionDigest: hash } },
  }
  const merged: Call = {}
  for (const fault of faults) {
    const { observed, proof, ...more } = calls[fault] ?? {}
    Object.assign(merged, more, { observed: { ...merged.observed, ...observed }, proof: { ...merged.proof, ...proof } })
  }
  expect(reasonOf(merged)).toBe(faults[0] === 'wrong address' ? 'pep_out_of_scope' : faults[0])
})
