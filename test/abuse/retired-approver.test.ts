import { randomBytes } from 'node:crypto'
import {
  buildApprovalStatement,
  grantOf,
  matchRule,
  statementChallenge,
  verifyRegistration,
} from '@bailiwick/approval-statement'
import { type Authority, parseAuthority } from '@bailiwick/authority'
import { jcsHash } from '@bailiwick/credentials'
import { sample, sampleAuthority, sampleKey } from '@bailiwick/standalone/sample'
import { softwarePasskey } from '@bailiwick/testkit'
import { expect, it } from 'vitest'
import { eventually, pause, Scene } from './scene.ts'

async function changed(scene: Scene, value: object | undefined): Promise<void> {
  const { status, body } = await scene.propose('approver', 'eve', value ?? null)
  expect(status).toBe(200)
  await scene.approver.approve(body.request_id)
  const there = () => scene.ledger.registry.get('approver', 'eve') !== undefined
  await eventually('the registry changed', () => there() === (value !== undefined) || undefined)
}

it('an approver who left cannot approve by putting the clock back, even with a stolen issuer (V3, V7)', async () => {
  await using scene = await Scene.open()
  const { registry } = scene.ledger
  const passkey = softwarePasskey({ rpId: 'localhost', origin: scene.url })
  const challenge = randomBytes(32)
  const made = await verifyRegistration({
    response: passkey.register(challenge),
    challenge: challenge.toString('base64url'),
    rpId: 'localhost',
    origins: [scene.url],
  })
  if (!made.ok) throw new Error(made.detail)
  const credentials = [{ ...made.passkey, registered_at: new Date().toISOString() }]
  await changed(scene, { id: 'eve', name: 'Eve', groups: [sample.group], credentials })
  const then = Date.now()
  const approvers = registry.approvers
  await pause(50)
  await changed(scene, undefined)
  expect(await scene.revoke('approver', 'eve')).toBe(200)

  // The most that a stolen issuer and Eve's passkey can make: a statement dated when she was still here, whose
  // `as_of` covers her revocation.
  const parsed = parseAuthority(sampleAuthority)
  if (!parsed.ok) throw new Error(parsed.detail)
  const authority: Authority = parsed.authority
  const agent = scene.agent().id
  const rule = matchRule(registry.view(), { agent, authority })
  if (!rule.ok) throw new Error(rule.detail)
  const statement = buildApprovalStatement({
    ...({ agent, authority, mode: 'window', rebind: 'none', rule: rule.rule, approvers, now: then } as const),
    instance_key: sampleKey(scene.system.data, 'reconciler').kid,
    request_id: `req_${'e'.repeat(43)}`,
    request_hash: jcsHash('anything'),
    not_before: new Date(then).toISOString(),
    not_after: new Date(then + 3_600_000).toISOString(),
    installation: scene.system.host.trust.installation,
    policy_set: registry.policySet?.hash ?? '',
    manifests: { [sample.toolServer]: registry.get('tool-server', sample.toolServer)?.manifest ?? '' },
    as_of: scene.ledger.revocations.sequence,
    nonce: randomBytes(16).toString('base64url'),
  })
  const grant = grantOf(statement, [passkey.sign(statementChallenge(statement))])
  await scene.forge(
    'grants.v1',
    { type: 'grant.created', subject: grant.id, version: 1, time: new Date(then).toISOString(), data: { grant } },
    scene.stolenKey('issuer'),
  )
  const tree = scene.ledger.grants.trees.get(grant.id)
  expect(tree).toBeDefined()
  expect(tree && (await scene.pdp.approvals.of(tree))).toMatchObject({ ok: false })
  expect(await scene.tryCall(scene.agent(), grant.id)).not.toBe('ok')
})
