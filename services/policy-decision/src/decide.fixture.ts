import { actionDigest, generateKey, makeDpopProof, publicKeyOf, signAccessToken } from '@bailiwick/credentials'
import { newId, systemRandom } from '@bailiwick/kit'
import { decide } from './decide.ts'
import { Intake } from './order/intake.ts'
import { treeOrder } from './order/tree-order.fixture.ts'
import { TreeQueues } from './order/tree-queue.ts'
import type { Turns } from './order/turns.ts'
import { UnderWay } from './order/under-way.ts'
import { agent, now, world } from './steps/living-call.fixture.ts'

export const issuer = 'https://bailiwick.example'
export const base = 'https://pep.example/'
export const [credentialKey, agentKey, permitKey] = [
  generateKey('credential'),
  generateKey('agent'),
  generateKey('permit'),
]
export const hash = 'A'.repeat(43)
export const [root, credentialId] = [`grt_${hash}`, `crd_${'1'.repeat(26)}`]
export const action = { name: 'tools/call', properties: { invoice: 'INV-1', secret: 'x', list: [1] } }
export const resource = { type: 'tool', id: 'erp/read' }
export const digest = actionDigest({ ...action, resource })
export const point = { id: base, resources: [{ type: 'tool' }], base_urls: [base] }

/** The living call in its tree's order, with a credential and a proof. Each test changes one thing. */
export function asked() {
  const w = world()
  const { pdp: ordered, ...order } = treeOrder()
  const { decisions } = (ordered as typeof w.pdp).projection.ledger
  Object.assign(w.grant, { id: root, statement_hash: hash, request_id: 'req_1', instance_key: agentKey.kid })
  const permission = { actions: ['tools/call'], resource, where: { '/invoice': { prefix: 'INV' } } }
  Object.assign(w.grant.authority, { permissions: [permission] })
  Object.assign(w.tree, { id: root, credentials: new Map([[credentialId, w.intent]]) })
  Object.assign(w.intent, { kid: credentialKey.kid, grant_id: root, jkt: agentKey.kid, audience: [base] })
  for (const each of w.instances.values()) Object.assign(each.agent, { owner: 'o', labels: ['trusted'] })
  const time = { passed: 0 }
  const said: Record<string, unknown> = { outcome: 'allow', policies: ['all'] }
  const shadowed: unknown[][] = []
  const active = {
    ...{ hash: 'set', readsAgentHistory: false, dutiesOf: () => ({ redact: [], notify: [] }) },
    engine: { context: () => undefined, evaluate: () => said },
  }
  const caughtUp = { now: async (): Promise<void> => undefined }
  const proofs = { accept: async (): Promise<string> => 'accepted', readopt: async () => undefined }
  const pdp = {
    ...(ordered as object),
    ...w.pdp,
    proofs,
    agents: new UnderWay(2),
    intake: new Intake({
      perTurn: 1,
      atOnce: 64,
      most: 512,
      deadlineMs: 60_000,
      isSlow: () => false,
      monotonic: () => 0,
    }),
    quotas: { take: () => undefined },
    permitKey,
    trust: { installation: 'ins_0123456789abcdef', public_url: issuer },
    publicUrl: issuer,
    clock: { now: () => now, monotonic: () => 1_000_000 + time.passed },
    random: systemRandom,
    decisionDeadlineMs: 60_000,
    outcomeSeconds: 30,
    keyRing: { find: () => ({ ok: true, value: publicKeyOf(credentialKey) }) },
    catchUp: caughtUp,
    policies: { current: () => active },
    shadow: { prepare: () => 'prepared', ask: (...about: unknown[]) => shadowed.push(about) },
    stepUps: { of: async () => [], find: () => undefined, newest: async () => [], stands: () => true },
    projection: {
      ...w.pdp.projection,
      ledger: { ...w.pdp.projection.ledger, grants: { trees: new Map([[root, w.tree]]) }, decisions },
    },
  }
  const credential = signAccessToken(
    {
      ...{ iss: issuer, aud: base, sub: agent, client_id: agent, iat: now / 1000 - 1, exp: now / 1000 + 30 },
      ...{ jti: credentialId, cnf: { jkt: agentKey.kid }, authorization_details: [{ type: 'bailiwick_task' }] },
      grant: { id: root, root, request: `req_${'1'.repeat(26)}`, mode: 'window', statement_hash: hash, as_of: 0 },
    } as never,
    credentialKey,
  )
  const made = { htm: 'POST', htu: `${base}mcp`, jti: 'proof-1-proof-1-proof-1', now }
  const callId = newId('call', now, systemRandom)
  const proofOf = (jti: string) =>
    makeDpopProof({ ...made, jti, accessToken: credential, actionDigest: digest }, agentKey)
  const request = {
    ...{ subject: w.call.subject, action, resource, digest, withApproval: false },
    observed: {
      credential,
      proof: proofOf(made.jti),
      ...{ htm: 'POST', htu: `${base}mcp`, call_id: callId as string | undefined },
    },
  }
  const queues = new TreeQueues(pdp as never)
  const ask = (turn?: ReturnType<Turns['next']>) =>
    decide(pdp as never, queues, point as never, request as never, { turn })
  return { ...w, ...order, pdp, queues, request, proofOf, callId, said, active, shadowed, time, caughtUp, proofs, ask }
}
export type Asked = ReturnType<typeof asked>
