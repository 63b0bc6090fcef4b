import { fork } from 'node:child_process'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { generateKey, signCallerAssertion } from '@bailiwick/credentials'
import { newId } from '@bailiwick/kit'
import { endWithThis } from '@bailiwick/native'
import { sampleAuthority, sampleKey } from '@bailiwick/standalone/sample'
import { expect, it } from 'vitest'
import { agentId, askTokenWithNonce, read } from '../e2e/agent-side.ts'
import { granted } from '../e2e/granted.ts'
import { by, passedOn, reconcilerOf, SubAgents, sdkOf } from '../e2e/sub-agents.ts'
import { eventually, type World } from '../e2e/world.ts'
import type { Flood, Told } from './evaluation-flooder.ts'

/** The limit for one agent; a point has twice as many (docs/how-to/authzen.md). */
const most = 512
const tooMany = 64
const other = { id: 'other-point', key: generateKey('pep-caller') }
const authority = { ...passedOn, budget: { ...sampleAuthority.budget, calls: 5000 } }

function otherCaller({ clock, random, url }: World): string {
  const iat = Math.floor(clock.now() / 1000)
  const jti = newId('call', clock.now(), random)
  return signCallerAssertion({ iss: other.id, sub: other.id, aud: url, iat, exp: iat + 60, jti }, other.key)
}

it('a flooding process gets 429, by agent and by enforcement point, and an honest caller is still answered (V18)', async () => {
  const gate = Promise.withResolvers<void>()
  const held = new Set<string | undefined>()
  const subs = new SubAgents(1)
  await using system = await granted(
    {
      entities: (all) => [
        ...subs.entities(all),
        ...all.flatMap((each) => {
          if (each.type !== 'enforcement-point') return []
          return [{ ...each, value: { ...each.value, id: other.id, caller_jwk: { ...other.key.publicJwk } } }]
        }),
      ],
      // A held call counts against the window of all lanes for half of this, and the server answers within 30 s.
      pdp: { decisionDeadlineMs: 20_000 },
      // Keeps requests under way, as a slow disk would, or a broker that does not acknowledge.
      wrapRecord: (record) => async (drafts) => {
        if (drafts.some(({ type, key }) => type === 'decision.allowed' && held.has(key))) await gate.promise
        return record(drafts)
      },
    },
    { authority },
  )
  const { world, people, point } = system
  await world.http.listen({ port: Number(new URL(world.url).port) })
  // Credentials of the agents that will flood, and of one that will not.
  const theirs = await people.grant({ agent: 'forecaster', authority })
  const details = [{ type: 'bailiwick_grant', grant_id: theirs.grantId }]
  const { token: credential = '' } = await eventually(async () => {
    const answer = await askTokenWithNonce(world, { agent: 'forecaster', details })
    return answer.token === undefined ? undefined : answer
  })
  const helper = subs.at(0)
  const { delegation } = await sdkOf(world, reconcilerOf(world)).delegate({
    of: { grantId: (await people.grant({ authority })).grantId },
    ...{ to: helper.id, key: helper.key.kid, authority: { ...authority, budget: { calls: 20, cost: {} } } },
    expiresAt: world.clock.now() + 3_000_000,
  })
  const { token } = await sdkOf(world, helper).credential({ delegation })

  using flooder = flooding()
  const flood = (agent: Flood['agent'], credential: string, grantId: string) => {
    held.add(grantId)
    const { url, data } = world
    flooder.send({ url, data, agent, subject: agentId(agent), credential, count: most + tooMany })
  }
  const refused = (agent: Flood['agent']) =>
    eventually(() => flooder.told({ agent, answer: 'refused' }) >= tooMany || undefined, 150_000)

  flood('reconciler', system.credential, system.grant.grantId)
  await refused('reconciler')
  expect(flooder.told({ agent: 'reconciler', answer: 'allowed' })).toBe(0)
  const forecaster = { credential, proofKey: sampleKey(world.data, 'forecaster'), subject: agentId('forecaster') }
  expect(await point.call({ ...forecaster, ...read })).toMatchObject({ decision: true })

  flood('forecaster', credential, theirs.grantId)
  await refused('forecaster')
  // Proofs made without a nonce get a nonce first and are sent again.
  const full = await eventually(async () => {
    const answer = await point.send(point.body({ credential: undefined, ...read }).body)
    return answer.statusCode === 200 ? undefined : answer
  })
  expect(full).toMatchObject({ statusCode: 429, headers: { 'retry-after': '1' } })
  expect(full.json()).toMatchObject({ code: 'queue_full' })
  const honest = by(helper, token, { ...read, caller: otherCaller(world) })
  expect(await point.call(honest)).toMatchObject({ decision: true })

  gate.resolve()
  // A request that waited longer than the server allows was sent again, and was then over the limit.
  await eventually(() => flooder.told() === 2 * (most + tooMany) || undefined, 150_000)
  expect(await point.call({ credential: system.credential, ...read })).toMatchObject({ decision: true })
})

/** Another process, which sends what it receives from this one. */
function flooding(): Disposable & { send(flood: Flood): void; told(what?: Told): number } {
  const child = fork(join(import.meta.dirname, 'evaluation-flooder.ts'), { stdio: 'inherit' })
  endWithThis(child)
  const all: Told[] = []
  child.on('message', (told: Told) => all.push(told))
  return {
    send: (flood) => void child.send(flood),
    told: (what) => all.filter((told) => what === undefined || isDeepStrictEqual(told, what)).length,
    [Symbol.dispose]: () => void child.kill('SIGKILL'),
  }
}
