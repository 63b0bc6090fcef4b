import { randomBytes } from 'node:crypto'
import { verifyRegistration } from '@bailiwick/approval-statement'
import { jcsHash, readKeyFile, signInvitation } from '@bailiwick/credentials'
import { paths } from '@bailiwick/installation'
import { sample, sampleAuthority } from '@bailiwick/standalone/sample'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import { enrolApprover, type System, softwarePasskey } from '@bailiwick/testkit'
import { expect, it } from 'vitest'
import { answering, Scene } from './scene.ts'

const registryOf = ({ services }: System) => services.policyDecision.pdp.projection.ledger.registry

async function told(system: System, path: string, payload: object, headers: Record<string, string> = {}) {
  const answer = await answering(`${system.url}${path}`, {
    method: 'POST',
    headers: { origin: system.url, 'content-type': 'application/json', ...headers },
    body: JSON.stringify(payload),
  })
  return `${answer.status} ${((await answer.json()) as { code: string }).code}`
}

it('before the first enrolment only the invitation changes anything, and no request can be answered (V3)', async () => {
  await using scene = await Scene.bare()
  const { system } = scene
  const agent = sampleAgent(system, 'reconciler')
  const signed = agent.signRequest({ authority: sampleAuthority, mode: 'window', expiresInSeconds: 600 })
  const { requestId } = await agent.request(signed)
  const before = registryOf(system).records().length
  for (const verb of ['statement', 'approve', 'deny', 'withdraw'])
    expect(await told(system, `/console/api/requests/${requestId}/${verb}`, {})).toMatch(/^40[01] /)
  expect((await scene.propose('rule', 'tasks', null)).body).toMatchObject({ code: 'registry_change_refused' })
  await scene.readToEnds()
  expect(registryOf(system).records()).toHaveLength(before)
  await expect(agent.credential({ requestId })).rejects.toMatchObject({ code: 'access_request_pending' })
})

it('exactly one of many simultaneous holders of the invitation becomes the first approver (V10)', async () => {
  await using scene = await Scene.bare()
  const { system } = scene
  const people = Array.from({ length: 6 }, (_, n) => enrolApprover(system, { id: `person-${n}`, name: `Person ${n}` }))
  const answers = await Promise.allSettled(people)
  expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  await scene.readToEnds()
  expect(registryOf(system).all('approver')).toHaveLength(1)
})

it('an invitation that leaks after its use creates no approver, not even with a stolen service (V3, V10)', async () => {
  await using scene = await Scene.open()
  const { system } = scene
  const passkey = softwarePasskey({ rpId: 'localhost', origin: scene.url })
  const challenge = randomBytes(32)
  const made = await verifyRegistration({
    response: passkey.register(challenge),
    challenge: challenge.toString('base64url'),
    rpId: 'localhost',
    origins: [scene.url],
  })
  if (!made.ok) throw new Error(made.detail)
  const key = readKeyFile(paths(system.data).keys('invitation'), 'invitation', 'invitation')
  const person = { approver_id: 'thief', name: 'Thief', groups: [sample.group] }
  const { credential_id, public_key } = made.passkey
  const invitation = signInvitation(
    { installation: system.trust.installation, ...person, credential_id, public_key },
    key,
  )
  expect(await told(system, '/console/api/enrolment/options', { approver_id: 'thief', name: 'Thief' })).toBe(
    '403 invitation_invalid',
  )
  const before = await scene.counted()
  const enrolmentId = `enr_${'x'.repeat(32)}`
  await scene.forge(
    'approvals.v1',
    {
      type: 'enrolment.offered',
      subject: enrolmentId,
      version: 1,
      data: { enrolment_id: enrolmentId, ...person, ...made.passkey, invitation },
    },
    scene.stolenKey('approval'),
  )
  const value = {
    id: 'thief',
    name: person.name,
    groups: person.groups,
    credentials: [{ ...made.passkey, registered_at: new Date().toISOString() }],
  }
  const entity = { type: 'approver', id: 'thief' }
  const authorization = { kind: 'invitation', jws: invitation }
  await scene.forge(
    'registry.v1',
    {
      type: 'approver.registered',
      subject: 'approver thief',
      version: 1,
      data: { entity, value, hash: jcsHash(value), authorization },
    },
    scene.stolenKey('issuer'),
  )
  await scene.readToEnds()
  await scene.stillWorks() // the issuer works in order, so it has judged the offer by now
  expect(registryOf(system).get('approver', 'thief')).toBeUndefined()
  expect(JSON.parse(before)[0]).toEqual(JSON.parse(await scene.counted())[0])
  expect((await scene.audited()).void).toBeGreaterThanOrEqual(1)
})

it('the machine’s operator is served on the socket only, and can deny and read, but not approve (V3)', async () => {
  await using scene = await Scene.open()
  const { http, operator } = scene.system.host
  const routes = (printed: string) => new Set(printed.match(/\/?operator\/\S+/g))
  expect(routes(http.printRoutes({ commonPrefix: false }))).toEqual(new Set())
  const tokens = ['/operator/join-tokens/approval', '/operator/join-tokens/issuer']
  const revocations = ['/operator/revocations', '/operator/revocations/preview']
  const keys = ['/operator/keys', '/operator/keys/state']
  const writes = [
    '/operator/registry/changes',
    ...revocations,
    '/operator/recoveries',
    ...tokens,
    ...keys,
    '/operator/values',
    '/operator/values/erase',
    '/operator/calls/erase',
    '/v1/replay',
  ]
  for (const path of [...writes, '/operator/registry', '/operator/requests'])
    for (const method of ['GET', 'POST'] as const) {
      const answer = await fetch(`${scene.url}${path}`, { method, ...(method === 'POST' ? { body: '{}' } : {}) })
      expect([path, answer.status]).toEqual([path, 404])
    }
  // Proposals are answered by people. A revocation is final. A recovery needs the root key and a day. A service's key
  // needs its certificate. A join token serves an agent only if its registration, which people approved, says so. An
  // erasure removes words and arguments, removes no decision, and stands in the log. A replay asks policies about the log, and
  // changes nothing. Consider each route that is added here.
  const posts = operator
    .printRoutes({ commonPrefix: false })
    .split('\n')
    .filter((line) => line.includes('POST'))
  expect(posts).toHaveLength(writes.length)
  const { requestId } = await scene.granted()
  for (const verb of ['approve', 'statement', 'deny']) {
    const url = `/console/api/requests/${requestId}/${verb}`
    expect((await operator.inject({ method: 'POST', url, payload: {} })).statusCode).toBe(404)
  }
  const before = scene.ledger.registry.records()
  expect((await scene.propose('rule', 'tasks', null, 'owner')).status).toBe(200) // it waits for an answer
  expect((await scene.propose('approver', 'owner', null, 'owner')).body).toMatchObject({
    code: 'registry_change_refused',
  })
  await scene.readToEnds()
  expect(scene.ledger.registry.records()).toEqual(before)
})
