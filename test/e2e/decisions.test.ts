import { generateKey, publicKeyOf, signAccessToken, verifyAccessToken, verifyPermit } from '@bailiwick/credentials'
import type { DenialReason } from '@bailiwick/errors'
import { sample, sampleAuthority } from '@bailiwick/standalone/sample'
import { expect, it } from 'vitest'
import { adjust, type CallAsk, credentialFor, Point, read } from './agent-side.ts'
import { type Ask, People } from './people.ts'
import { eventually, World, type WorldOptions } from './world.ts'

/** A world with a grant, its credential and an enforcement point. */
async function granted(options: WorldOptions = {}, ask: Ask = {}) {
  const world = await World.open(options)
  const people = await People.enrolled(world)
  const grant = await people.grant(ask)
  const credential = await credentialFor(world, grant.grantId)
  const point = new Point(world)
  return { world, people, grant, credential, point, [Symbol.asyncDispose]: () => world[Symbol.asyncDispose]() }
}

it('allows what was approved, with a permit of at most 5 s for exactly that action, after the decision is durable (V1, V2)', async () => {
  await using system = await granted()
  const { world, credential, point } = system
  const answer = await point.call({ credential, ...read })
  expect(answer).toMatchObject({ decision: true })
  const permit = verifyPermit({
    permit: answer.permit ?? '',
    key: publicKeyOf(world.key('policy-decision', 'permit', 'permit')),
    issuer: world.url,
    enforcementPoint: sample.enforcementPoint,
    actionDigest: answer.digest,
    now: world.clock.now(),
    leewayMs: 0,
  })
  if (!permit.ok) throw new Error(permit.detail)
  expect(permit.value.exp - permit.value.iat).toBeLessThanOrEqual(5)
  expect(permit.value.jti).toBe(answer.decisionId)
  const [allowed] = await world.events('decisions.v1')
  expect(allowed).toMatchObject({ type: 'decision.allowed', data: { decision_id: answer.decisionId } })
})
