import { expect, it } from 'vitest'
import { credentialFor, Point, read } from '../e2e/agent-side.ts'
import { granted } from '../e2e/granted.ts'
import { messagesOf, resettable, revoked, roundsOf, targetOf, verdictsOf } from './revocation-world.ts'

const rounds = roundsOf(3, 50)
const perRoundMs = 15_000

it(
  'the events of a grant, replayed after its revocation, revive nothing at running or newly started services (V7)',
  async () => {
    await using system = await granted()
    const { world, people, point } = system
    for (let round = 0; round < rounds; round++) {
      const grant = await people.grant()
      const credential = await credentialFor(world, grant.grantId)
      expect(await point.call({ credential, ...read })).toMatchObject({ decision: true })
      const [kind, target] = targetOf(round, grant, credential)
      await revoked(system, kind, target)
      const old = await messagesOf(world.bus, ['approvals.v1', 'grants.v1'])
      for (const { topic, key, bytes } of old.filter(({ key }) => key === grant.grantId || key === grant.requestId))
        await world.bus.publish(topic, [{ key, bytes }])
      const restarted = await world.startPdp()
      const points = [point, new Point(world, restarted.http)]
      const verdicts = await verdictsOf(points, credential)
      expect({ kind, allowed: verdicts.filter(({ decision }) => decision) }).toEqual({ kind, allowed: [] })
      await restarted[Symbol.asyncDispose]()
    }
  },
  rounds * perRoundMs,
)

it(
  'a decision point that starts again, with or without its store, denies what was revoked before (V7)',
  async () => {
    await using system = await granted()
    const { world, people } = system
    for (let round = 0; round < rounds; round++) {
      const grant = await people.grant()
      const credential = await credentialFor(world, grant.grantId)
      const [kind, target] = targetOf(round, grant, credential)
      const ordered = revoked(system, kind, target)
      // It starts while the revocation is on its way.
      const restarted = await world.startPdp()
      await ordered
      if (round % 2 === 0) await world.store.adopt()
      const verdicts = await verdictsOf([new Point(world, restarted.http)], credential)
      expect({ kind, allowed: verdicts.filter(({ decision }) => decision) }).toEqual({ kind, allowed: [] })
      await restarted[Symbol.asyncDispose]()
    }
  },
  rounds * perRoundMs,
)

it(
  'an offset reset, which makes readers read everything again from the start, revives nothing (V7)',
  async () => {
    let resets: ReturnType<typeof resettable> | undefined
    await using system = await granted({
      pdpBus: (real) => {
        resets = resettable(real)
        return resets.bus
      },
    })
    const { world, people, point } = system
    for (let round = 0; round < rounds; round++) {
      const grant = await people.grant()
      const credential = await credentialFor(world, grant.grantId)
      expect(await point.call({ credential, ...read })).toMatchObject({ decision: true })
      const [kind, target] = targetOf(round, grant, credential)
      await revoked(system, kind, target)
      const asked: Promise<unknown>[] = []
      let running = true
      const during = (async () => {
        for (; running; await new Promise((resolve) => setTimeout(resolve, 5))) {
          const answer = point
            .call({ credential, ...read })
            .then(({ decision }) => asked.push(Promise.resolve(decision)))
          await answer
        }
      })()
      await resets?.reset()
      running = false
      await during
      const verdicts = await verdictsOf([point], credential)
      const allowed = [...(await Promise.all(asked)), ...verdicts.map(({ decision }) => decision)].filter(Boolean)
      expect({ kind, allowed }).toEqual({ kind, allowed: [] })
    }
  },
  rounds * perRoundMs,
)
