import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { embeddedBus } from '@bailiwick/bus/embedded'
import { topicNamed } from '@bailiwick/contracts'
import { generateKey, type SigningKey, sha256, signOutcome } from '@bailiwick/credentials'
import { systemClock } from '@bailiwick/kit'
import { expect, it, vi } from 'vitest'
import { Installed } from '../evidence.fixture.ts'

const id = 'erp-gateway'
const decision_id = 'dec_00000000000000000000000001'
const grant_id = 'grt_00000000000000000000000001'
const key = generateKey('outcome')

it('takes outcomes by registered enforcement points, and looks for each until the decision point has relayed it', async () => {
  using installed = new Installed([
    {
      type: 'enforcement-point',
      value: {
        id,
        caller_jwk: generateKey('outcome').publicJwk,
        outcome_jwk: key.publicJwk,
        resources: [{ type: 'tool', id_prefix: 'erp/' }],
        base_urls: [],
        may_release: false,
      },
    },
  ])
  await using bus = await embeddedBus({
    dir: installed.at.bus,
    partitions: (topic) => topicNamed(topic)?.partitions ?? 1,
    retentionMs: () => undefined,
    inMemory: (topic) => topic === 'heads.v1',
    now: () => systemClock.now(),
  })
  await using _issuer = await installed.registered(bus)
  await using pdp = await installed.participant(bus, 'policy-decision')
  await using evidence = await installed.evidence(bus)
  const { installation } = installed.trust
  const outcome = (by: SigningKey<'outcome'>) =>
    signOutcome(
      {
        installation,
        enforcement_point: id,
        sequence: 1,
        call_id: 'call_000000000000000001',
        decision_id,
        action_digest: sha256(Buffer.from('action')),
        status: 'succeeded',
        at: '2026-07-01T09:04:00.000Z',
      },
      by,
    )
  const tell = async (body: object) =>
    (await evidence.http.inject({ method: 'POST', url: '/log/outcomes', payload: body })).statusCode
  const waiting = () => readdirSync(join(installed.at.evidence, 'told'))
  expect(await tell({ outcome: outcome(generateKey('outcome')) })).toBe(401)
  expect(await tell({ outcome: 'none' })).toBe(400)
  expect(await tell({ outcome: outcome(key), more: true })).toBe(400)
  expect(existsSync(join(installed.at.evidence, 'told'))).toBe(true)
  expect(waiting()).toEqual([])
  const signed = outcome(key)
  expect(await tell({ outcome: signed })).toBe(204)
  expect(await tell({ outcome: signed })).toBe(204)
  expect(waiting()).toHaveLength(1)
  const data = {
    decision_id,
    grant_id,
    enforcement_point: id,
    sequence: 1,
    status: 'succeeded' as const,
    released: { calls: 0, egress_bytes: 0, cost: {} },
    outcome: signed,
  }
  await pdp.producer.publish('decisions.v1', [{ type: 'outcome.reported', subject: decision_id, version: 2, data }])
  await vi.waitFor(() => expect(waiting()).toEqual([]), { timeout: 15_000, interval: 100 })
})
