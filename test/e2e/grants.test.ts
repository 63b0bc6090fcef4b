import { randomBytes } from 'node:crypto'
import { grantOf, statementChallenge, verifyRegistration } from '@bailiwick/approval-statement'
import { type Break, type Bus, faultyBus } from '@bailiwick/bus'
import { generateKey, jcsHash, signEvent } from '@bailiwick/credentials'
import type { ErrorCode } from '@bailiwick/errors'
import { sample, sampleAuthority, sampleKey } from '@bailiwick/standalone/sample'
import { softwarePasskey } from '@bailiwick/testkit'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { adjust, askTokenWithNonce, credentialFor, Point, read } from './agent-side.ts'
import { granted, shortLived } from './granted.ts'
import { type Approved, People } from './people.ts'
import { changeRegistry } from './registry-change.ts'
import { Thief } from './thief.ts'
import { eventually, World } from './world.ts'

let world: World
let people: People
beforeAll(async () => {
  world = await World.open()
  people = await People.enrolled(world)
})
afterAll(() => world[Symbol.asyncDispose]())

/** The issuer's event about the request, once there is one. */
const answerTo = ({ grantId }: Approved) =>
  eventually(async () => (await world.events('grants.v1')).find(({ subject }) => subject === grantId))

const later = (ms: number) => new Date(world.clock.now() + ms).toISOString()
const [reading] = sampleAuthority.permissions

it.each<[why: string, reason: ErrorCode | string, forge: () => Promise<Approved>]>([
  [
    'an authority wider than the agent asked for',
    'approval_not_narrower',
    async () => {
      const received = await people.ask({
        authority: { ...sampleAuthority, permissions: [reading], budget: { calls: 5 } },
      })
      return people.hand(
        received.request_id,
        people.statement(received, { authority: { ...received.authority, budget: { calls: 6 } } }),
      )
    },
  ],
  [
    'a longer time than the agent asked for',
    'approval_not_narrower',
    async () => {
      const received = await people.ask({ seconds: 60 })
      return people.hand(received.request_id, people.statement(received, { not_after: later(3_600_000) }))
    },
  ],
  [
    'a window where one action was asked for',
    'approval_not_narrower',
    async () => {
      const received = await people.ask({ mode: 'per_action', actionDigest: 'A'.repeat(43) })
      const { action_digest: _, ...statement } = people.statement(received, { mode: 'window' })
      return people.hand(received.request_id, statement)
    },
  ],
  [
    'one action whose arguments were not shown',
    'arguments_required',
    async () => {
      const received = await people.ask({ mode: 'per_action', actionDigest: 'A'.repeat(43), arguments: 'kept back' })
      return people.hand(received.request_id, people.statement(received))
    },
  ],
  [
    'one action whose arguments were shown although its agent sent none',
    'access_request_conflict',
    async () => {
      const received = await people.ask({ mode: 'per_action', actionDigest: 'A'.repeat(43), arguments: 'kept back' })
      return people.hand(received.request_id, people.statement(received, { arguments: 'shown' }))
    },
  ],
  [
    'one action with other arguments than its agent sent',
    'access_request_conflict',
    async () => {
      const received = await people.ask({ mode: 'per_action', actionDigest: 'A'.repeat(43), arguments: 'others' })
      return people.hand(received.request_id, people.statement(received))
    },
  ],
  [
    'another action than the agent asked for',
    'approval_not_narrower',
    async () => {
      const received = await people.ask({ mode: 'per_action', actionDigest: 'A'.repeat(43) })
      return people.hand(received.request_id, people.statement(received, { action_digest: `${'B'.repeat(42)}A` }))
    },
  ],
  [
    'a request that the agent never signed',
    'key_unknown',
    async () => {
      const received = await people.ask({ key: sampleKey(world.data, 'forecaster') })
      return people.hand(received.request_id, people.statement(received))
    },
  ],
  [
    'the signed request of another request',
    'access_request_conflict',
    async () => {
      const [one, other] = [await people.ask(), await people.ask()]
      return people.hand(one.request_id, people.statement(one, { request_hash: other.request_hash }))
    },
  ],
  [
    'a key that is not the instance’s',
    'grant_agent_mismatch',
    async () => {
      const received = await people.ask()
      return people.hand(
        received.request_id,
        people.statement(received, { instance_key: sampleKey(world.data, 'forecaster').kid }),
      )
    },
  ],
  [
    'policies that are not active',
    'policy_changed',
    async () => {
      const received = await people.ask()
      return people.hand(received.request_id, people.statement(received, { policy_set: 'A'.repeat(43) }))
    },
  ],
  [
    'a tool that has changed',
    'manifest_changed',
    async () => {
      const received = await people.ask()
      return people.hand(
        received.request_id,
        people.statement(received, { manifests: { [sample.toolServer]: 'A'.repeat(43) } }),
      )
    },
  ],
  [
    'revocations that are not declared yet',
    'statement_unknown',
    async () => {
      const received = await people.ask()
      return people.hand(received.request_id, people.statement(received, { as_of: 1_000_000 }))
    },
  ],
  [
    'another installation',
    'statement_unknown',
    async () => {
      const received = await people.ask()
      return people.hand(received.request_id, people.statement(received, { installation: 'ins_0123456789abcdef' }))
    },
  ],
  [
    'a passkey that was never enrolled',
    'approver_unknown',
    async () => {
      const received = await people.ask()
      const statement = people.statement(received)
      const stranger = new People(world)
      stranger.passkey.register(Buffer.alloc(32, 1))
      return people.hand(received.request_id, statement, [stranger.sign(statement)])
    },
  ],
  [
    'a passkey’s signature over another statement',
    'assertion_invalid',
    async () => {
      const received = await people.ask()
      return people.hand(received.request_id, people.statement(received), [people.sign(people.statement(received))])
    },
  ],
])('grants nothing for %s, and logs %s (V3)', async (_, reason, forge) => {
  const forged = await forge()
  expect(await answerTo(forged)).toMatchObject({ type: 'credential.refused', data: { reason } })
  expect(world.approval.projection.ledger.grants.trees.has(forged.grantId)).toBe(false)
  const answer = await askTokenWithNonce(world, {
    details: [{ type: 'bailiwick_grant', request_id: forged.requestId }],
  })
  expect(answer.token).toBeUndefined()
})

it('grants a narrower authority and a shorter time than was asked for (V3)', async () => {
  const received = await people.ask()
  const narrower = people.statement(received, {
    authority: { ...received.authority, budget: { calls: 1, cost: { EUR: '1' } } },
    not_after: later(60_000),
  })
  expect(await answerTo(await people.hand(received.request_id, narrower))).toMatchObject({ type: 'grant.created' })
})

it.each(['issuer', 'policy-decision'] as const)(
  'accepts no approval signed by the %s or by an uncertified key (V12)',
  async (service) => {
    const received = await people.ask()
    const statement = people.statement(received)
    const approved = {
      request_id: received.request_id,
      statement,
      statement_hash: 'x',
      assertions: [people.sign(statement)],
    }
    const [genuine] = (await world.events('approvals.v1')).filter(({ subject }) => subject === received.request_id)
    const envelope = { ...genuine, type: 'request.approved', version: 2, data: approved } as Record<string, unknown>
    delete envelope.jws
    const purpose = service === 'issuer' ? 'issuer-event' : 'pdp-event'
    for (const key of [world.key(service, 'event', purpose), generateKey('approval-event')]) {
      const bytes = signEvent(Buffer.from(JSON.stringify({ ...envelope, id: `evt_${key.kid.slice(0, 26)}` })), key)
      await world.bus.publish('approvals.v1', [{ key: received.request_id, bytes }])
    }
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(world.approval.projection.ledger.requests.requests.get(received.request_id)?.state).toBe('pending')
    expect(world.approval.projection.ledger.grants.byRequest(received.request_id)).toBeUndefined()
  },
)

it('makes one grant from an approval, however often it is delivered and the issuer is started (V10)', async () => {
  await using system = await granted()
  const { world: own, grant, people: crowd } = system
  const all = async () => (await own.events('grants.v1')).filter(({ type }) => type === 'grant.created')
  const approvals: { key: string; bytes: Uint8Array }[] = []
  await using follower = await own.bus.follow(['approvals.v1'], 'start', async (batch) => {
    for (const { key, bytes } of batch)
      if (Buffer.from(bytes).includes('request.approved')) approvals.push({ key, bytes })
  })
  await follower.caughtUp
  await own.bus.publish('approvals.v1', [...approvals, ...approvals])
  await own.issuer?.[Symbol.asyncDispose]()
  await own.startIssuer()
  const next = await crowd.grant() // after all of that
  expect((await all()).map(({ subject }) => subject).sort()).toEqual([grant.grantId, next.grantId].sort())
})

it.each<[type: string, where: Break]>(
  (['grant.created', 'credential.intended', 'credential.issued', 'revocation.declared'] as const).flatMap((type) =>
    (['before', 'after'] as const).map((where): [string, Break] => [type, where]),
  ),
)('records %s once, and answers, when the bus breaks %s it (V2, V4, V10)', async (type, where) => {
  let breaks = 0
  await using own = await World.open({
    issuerBus(real) {
      let now: Break | undefined
      const bus = faultyBus(real, ({ method }) => (method === 'publish' ? now : undefined))
      return {
        ...bus,
        publish(topic, events) {
          now =
            breaks > 0 && events.some(({ bytes }) => Buffer.from(bytes).includes(`"type":"${type}"`))
              ? where
              : undefined
          if (now) breaks--
          return bus.publish(topic, events)
        },
      }
    },
  })
  breaks = 2
  const crowd = await People.enrolled(own)
  const grant = await crowd.grant()
  await credentialFor(own, grant.grantId)
  expect(await own.revoke('grant', grant.grantId)).toBe(200)
  await expect.poll(() => breaks).toBe(0) // broken after its effect, it is offered again while the caller goes on
  expect(own.fatal).toEqual([])
  const events = [...(await own.events('grants.v1')), ...(await own.revocations())]
  expect(new Set(events.map(({ type: each }) => each))).toEqual(
    new Set(['grant.created', 'credential.intended', 'credential.issued', 'revocation.declared']),
  )
  const ofType = events.filter((event) => event.type === type)
  expect(new Set(ofType.map(({ id }) => id)).size).toBe(1)
})

it('leaves an intent and no credential when it dies between the two, and its successor continues (V4)', async () => {
  let dies = false
  let dead = false
  await using system = await granted({
    issuerBus: (real) => ({
      ...faultyBus(real, () => undefined),
      publish: (topic, events) => {
        dead ||= dies && events.some(({ bytes }) => Buffer.from(bytes).includes('"type":"credential.issued"'))
        return dead ? new Promise<never>(() => undefined) : real.publish(topic, events)
      },
    }),
  })
  const { world: own, grant, point } = system
  const details = [{ type: 'bailiwick_grant', grant_id: grant.grantId }]
  dies = true
  let answered = false
  void askTokenWithNonce(own, { details }).then(() => {
    answered = true
  })
  await eventually(async () =>
    (await own.events('grants.v1')).filter(({ type }) => type === 'credential.intended').length === 2
      ? true
      : undefined,
  )
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect(answered).toBe(false)
  await own.startIssuer(own.bus)
  const token = await eventually(async () => (await askTokenWithNonce(own, { details })).token)
  expect(await point.call({ credential: token, ...read })).toMatchObject({ decision: true })
  expect(answered).toBe(false)
})

/** The embedded bus as the next process finds it: its heads ended with the previous process. */
async function started(bus: Bus): Promise<Bus> {
  const [gone = 0] = await bus.ends('heads.v1')
  return {
    ...faultyBus(bus, () => undefined),
    follow: (topics, since, handler) =>
      bus.follow(topics, since, (batch) =>
        handler(batch.filter(({ topic, offset }) => topic !== 'heads.v1' || offset >= gone)),
      ),
  }
}

it('completes a genesis that was cut short after any entity, and adds nothing to a complete one', async () => {
  await using whole = await World.empty()
  await whole.startIssuer()
  const entities = (await whole.events('registry.v1')).map(({ subject }) => subject)
  expect(entities.length).toBeGreaterThan(10)
  for (let cut = 1; cut < entities.length; cut += 3) {
    await using own = await World.empty()
    const stopped = new Error('stopped')
    let published = 0
    let dead = false
    const dying = {
      ...faultyBus(own.bus, () => undefined),
      publish: ((topic, events) => {
        dead ||= topic === 'registry.v1' && published++ === cut
        if (dead) return new Promise<never>(() => undefined)
        return own.bus.publish(topic, events)
      }) as typeof own.bus.publish,
    }
    const never = own.startIssuer(dying).then(() => {
      throw stopped
    })
    await Promise.race([
      never,
      eventually(async () => ((await own.events('registry.v1')).length === cut ? true : undefined)),
    ])
    await own.startIssuer(await started(own.bus))
    const subjects = (await own.events('registry.v1')).map(({ subject }) => subject)
    expect(subjects).toHaveLength(entities.length)
    expect(new Set(subjects.map((subject) => subject.split(' ')[0]))).toEqual(
      new Set(entities.map((s) => s.split(' ')[0])),
    )
  }
})

it('does not start on the registry of another installation', async () => {
  await using theirs = await World.empty()
  await theirs.startIssuer()
  await using ours = await World.empty()
  await expect(ours.startIssuer(theirs.bus)).rejects.toMatchObject({ code: 'trust_invalid' })
})

it('records a grant’s expiry once, and mints nothing more for it', async () => {
  await using system = await granted()
  const { world: own, point } = system
  const { credential, ...grant } = await shortLived(system, { seconds: 2 })
  await eventually(async () =>
    (await own.events('grants.v1')).find(({ type, subject }) => type === 'grant.expired' && subject === grant.grantId),
  )
  const { error } = await askTokenWithNonce(own, { details: [{ type: 'bailiwick_grant', grant_id: grant.grantId }] })
  expect(error).toBe('access_denied')
  expect((await point.call({ credential, ...read })).decision).toBe(false)
  await new Promise((resolve) => setTimeout(resolve, 1200))
  const expired = (await own.events('grants.v1')).filter(({ type }) => type === 'grant.expired')
  expect(expired.filter(({ subject }) => subject === grant.grantId)).toHaveLength(1)
})

it('creates no grant for a request withdrawn meanwhile, and mints for none that a second issuer ended (V7)', async () => {
  const received = await people.ask()
  const statement = people.statement(received)
  const assertions = [people.sign(statement)]
  const { approval } = world
  const events = people.approvedAndWithdrawn(received.request_id, statement, assertions)
  await approval.producer.publish('approvals.v1', events)
  const grantId = (
    await eventually(async () => (await world.revocations()).find(({ data }) => data.cause === received.request_id))
  ).data.target
  const { error } = await askTokenWithNonce(world, {
    details: [{ type: 'bailiwick_grant', request_id: received.request_id }],
  })
  expect(error).toBe('access_denied')
  const thief = await Thief.of(world, 'issuer')
  const point = new Point(world)
  const tree = thief.projection.ledger.grants.trees.get(grantId)
  if (tree) {
    const credential = await thief.mint({ requestId: received.request_id, grantId, statement, assertions })
    expect((await point.call({ credential, ...adjust('1') })).decision).toBe(false)
  }
})

/**
 * Eve, a second approver, and a decision point whose registry can lag behind its other topics, as one partition of a
 * broker may.
 */
async function withEve() {
  let bus: ReturnType<typeof faultyBus> | undefined
  const pdpBus = (real: Bus) => {
    bus = faultyBus(real, () => undefined)
    return bus
  }
  const system = await granted({ pdpBus })
  const { world } = system
  const passkey = softwarePasskey({ rpId: 'localhost', origin: world.url })
  const challenge = randomBytes(32)
  const { origins } = world.trust
  const check = { challenge: challenge.toString('base64url'), rpId: 'localhost', origins }
  const made = await verifyRegistration({ response: passkey.register(challenge), ...check })
  if (!made.ok) throw new Error(made.detail)
  const credentials = [{ ...made.passkey, registered_at: new Date().toISOString() }]
  return {
    system,
    passkey,
    value: { id: 'eve', name: 'Eve', groups: [sample.group], credentials },
    known: world.approval.projection.ledger.registry,
    pdp: world.pdp.pdp.projection.ledger,
    hold: () => bus?.hold('registry.v1'),
    release: () => bus?.release('registry.v1'),
  }
}
const eve = { type: 'approver' as const, id: 'eve' }

it('a grant that reaches a decision point before its registry becomes valid once the registry arrives (V16)', async () => {
  const { system, value, known, pdp, hold, release } = await withEve()
  await using _ = system
  hold()
  await changeRegistry(system, { ...eve, version: 1, value })
  await eventually(() => known.get('approver', 'eve'))
  const { grantId } = await system.people.grant() // under another hash of the group, since Eve joined it
  const tree = await eventually(() => pdp.grants.trees.get(grantId))
  expect(await system.world.pdp.pdp.approvals.of(tree)).toMatchObject({ ok: false })
  release()
  await eventually(() => pdp.registry.get('approver', 'eve'))
  const call = { credential: await credentialFor(system.world, grantId), ...read }
  expect(await system.point.call(call)).toMatchObject({ decision: true })
})

it('an approver who left before a stolen issuer made a grant has not approved it, even for a decision point that hears of it late (V3)', async () => {
  const { system, value, passkey, known, pdp, hold, release } = await withEve()
  await using _ = system
  const { world, people } = system
  await changeRegistry(system, { ...eve, version: 1, value })
  await eventually(() => pdp.registry.get('approver', 'eve'))
  const statement = people.statement(await people.ask())
  hold()
  await changeRegistry(system, { ...eve, version: 2, before: jcsHash(value) })
  await eventually(() => (known.get('approver', 'eve') === undefined ? true : undefined))
  await new Promise((resolve) => setTimeout(resolve, 20))
  const grant = grantOf(statement, [passkey.sign(statementChallenge(statement))])
  const { producer } = await Thief.of(world, 'issuer')
  await producer.publishOne('grants.v1', { type: 'grant.created', subject: grant.id, version: 1, data: { grant } })
  const tree = await eventually(() => pdp.grants.trees.get(grant.id))
  expect(await world.pdp.pdp.approvals.of(tree)).toMatchObject({ ok: true })
  release()
  await eventually(() => (pdp.registry.get('approver', 'eve') === undefined ? true : undefined))
  // The issuer's own registry is complete, and it mints nothing for the grant; the decision point must detect this by
  // itself.
  expect(await world.pdp.pdp.approvals.of(tree)).toMatchObject({ ok: false })
})
