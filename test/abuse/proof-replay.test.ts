import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeDpopProof, signClientAssertion } from '@bailiwick/credentials'
import { embeddedGrantStore } from '@bailiwick/grant-store/embedded'
import { newId } from '@bailiwick/kit'
import { sampleKey } from '@bailiwick/standalone/sample'
import { expect, it } from 'vitest'
import { adjust, agentId, askToken, Point, read } from '../e2e/agent-side.ts'
import { granted } from '../e2e/granted.ts'
import { People } from '../e2e/people.ts'
import { callsOnly, RecordingPoint } from '../e2e/two-points.ts'
import { eventually, World } from '../e2e/world.ts'
import { roundsOf } from './revocation-world.ts'

// An attacker who recorded calls sends them again: to the same instance, to another, and to one that started since.
// test/chaos/redis-losses.test.ts covers proofs that Redis forgets in a flush, a failover or an eviction.

const rounds = roundsOf(2, 20)

it(
  'a proof used at one decision point works at no other, and at none that starts later (V10)',
  async () => {
    await using system = await granted()
    const { world, credential } = system
    const first = { http: world.http, stop: () => world.pdp[Symbol.asyncDispose]() }
    const instances = [first]
    const start = async () => {
      const started = await world.startPdp()
      instances.push({ http: started.http, stop: () => started[Symbol.asyncDispose]() })
    }
    await start()
    const recorded: Record<string, unknown>[] = []
    for (let round = 0; round < rounds; round++) {
      const points = instances.map(({ http }) => new Recorder(world, http))
      for (const point of points) expect(await point.call({ credential, ...read })).toMatchObject({ decision: true })
      recorded.push(...points.flatMap(({ allowed }) => allowed))
      // Every recorded call is sent to all instances, before and after one of them is replaced.
      const shown = async () => {
        const answers = await Promise.all(
          recorded.flatMap((body) => points.map(async (point) => (await point.send(body)).json() as Answer)),
        )
        expect(answers.filter(({ decision }) => decision)).toEqual([])
      }
      await shown()
      await instances.shift()?.stop()
      await start()
      points.splice(0, points.length, ...instances.map(({ http }) => new Recorder(world, http)))
      await shown()
    }
  },
  rounds * 30_000,
)

it('the log makes a proof count once, even where two decision points share no memory of proofs (V10)', async () => {
  await using system = await granted({}, { authority: callsOnly(200) })
  const { world, credential } = system
  const dir = mkdtempSync(join(tmpdir(), 'own-grants-'))
  await using own = new AsyncDisposableStack()
  own.defer(() => rmSync(dir, { recursive: true, force: true }))
  const store = own.use(embeddedGrantStore({ dir, now: () => world.clock.now() }))
  const second = await world.startPdp(undefined, store)
  const points = [new RecordingPoint(world), new RecordingPoint(world, second.http)] as const
  const unasked = { credential, ...adjust('1'), proof: { nonce: undefined } }
  // Waits until each accepts a proof without a nonce. From then on, only the log tells one point what the other
  // counted.
  for (const point of points) await eventually(async () => (await point.once(unasked)).decision || undefined)
  const said = async (point: RecordingPoint, body: Record<string, unknown>) => {
    const { decision, context } = (await point.send(body)).json() as Answer
    return decision ? 'allowed' : context.reason
  }
  for (const [one, other] of [points, points.toReversed() as [RecordingPoint, RecordingPoint]]) {
    const { body } = one.body(unasked)
    expect(await said(one, body)).toBe('allowed')
    expect(await said(other, body)).toBe('proof_replayed')
  }
  for (let round = 0; round < rounds; round++) {
    const { body } = points[0].body(unasked)
    const answers = await Promise.all(points.map((point) => said(point, body)))
    expect(answers.toSorted()).toEqual(['allowed', 'proof_replayed'])
  }
  await second[Symbol.asyncDispose]()
})

interface Answer {
  decision: boolean
  context: { reason: string }
}

/** Records each allowed call as it was sent. */
class Recorder extends Point {
  readonly allowed: Record<string, unknown>[] = []

  override async send(body: Record<string, unknown>, caller?: string) {
    const answer = await super.send(body, caller)
    if ((answer.json() as Answer).decision) this.allowed.push(body)
    return answer
  }
}

it(
  'the active issuer answers a call to the token endpoint once, also after a restart (V10)',
  async () => {
    await using world = await World.open()
    const people = await People.enrolled(world)
    const { grantId } = await people.grant()
    const details = [{ type: 'bailiwick_grant', grant_id: grantId }]
    const key = sampleKey(world.data, 'reconciler')
    const recorded: { dpop: string; form: Record<string, string> }[] = []
    const ask = async () => {
      const { nonce } = await askToken(world, { details: [] })
      const now = world.clock.now()
      const iat = Math.floor(now / 1000)
      const id = () => newId('call', now, world.random)
      const htu = `${world.url}/oauth/token`
      const claims = { iss: agentId(), sub: agentId(), aud: world.url, iat, exp: iat + 60, jti: id() }
      const made = {
        dpop: makeDpopProof({ htm: 'POST', htu, jti: id(), now, nonce }, key),
        form: { client_assertion: signClientAssertion(claims, key) },
      }
      const answers = await Promise.all(Array.from({ length: 8 }, () => askToken(world, { details, ...made })))
      recorded.push(made)
      return answers.filter(({ token }) => token !== undefined).length
    }
    for (let round = 0; round < rounds; round++) {
      expect(await eventually(async () => (await ask()) || undefined, 20_000)).toBe(1)
      const again = async () => {
        const answers = await Promise.all(recorded.map((made) => askToken(world, { details, ...made })))
        expect(answers.filter(({ token }) => token !== undefined)).toEqual([])
      }
      // The next issuer stands by, and takes over when the first one stops. It knows nothing of what the first one
      // counted.
      const before = world.issuer
      await world.startIssuer()
      await before?.[Symbol.asyncDispose]()
      // It is active: a refusal from here on is not for standing by.
      expect(await eventually(async () => (await ask()) || undefined, 20_000)).toBe(1)
      await again()
    }
  },
  rounds * 60_000,
)
