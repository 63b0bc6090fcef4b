import { Writable } from 'node:stream'
import { faultyBus } from '@bailiwick/bus'
import { logger as makeLogger } from '@bailiwick/host'
import { readGenesis } from '@bailiwick/installation'
import { systemClock } from '@bailiwick/kit'
import { startSystem } from '@bailiwick/testkit'
import { expect, it } from 'vitest'
import { openAdapters } from './adapters-under-test.ts'
import { eventually } from './world.ts'

// A machine or bus so slow that an issuer receives neither its claim nor any of its own heads while it writes the first
// registry.
it('an issuer whose heads are late during its start logs that, continues where it was, and does not end (V8, V13)', async () => {
  let late = 0
  let registered = 0
  /** How much of the genesis existed when each service began to read it. */
  const found: number[] = []
  let said = ''
  const fatal: unknown[] = []
  let mend: () => void = () => undefined
  // Logged only for the first head of an outage, which is the claim: the claim is void then.
  let isEnough = () => said.includes('a head could not be published')
  const destination = new Writable({
    write(chunk, _, done) {
      said += chunk
      if (isEnough()) mend()
      done()
    },
  })
  await using adapters = await openAdapters()
  await using system = await startSystem({
    adapters: { bus: adapters.bus, grantStore: adapters.store },
    clock: { now: () => systemClock.now(), monotonic: () => systemClock.monotonic() + late },
    logger: makeLogger({ service: 'slow', level: 'warn', destination }),
    onFatal: (error) => void fatal.push(error),
    wrapBus(bus) {
      const slow = faultyBus(bus, () => undefined)
      mend = () => slow.release('heads.v1')
      let claimed = false
      const publish: typeof slow.publish = async (topic, events) => {
        if (!claimed && events.some(({ bytes }) => Buffer.from(bytes).includes('"active":true'))) {
          claimed = true
          slow.hold('heads.v1')
        }
        const positions = await slow.publish(topic, events)
        if (topic === 'registry.v1' && ++registered === 3) {
          slow.hold('heads.v1')
          late = 2501
          isEnough = () => said.includes('tries again')
        }
        return positions
      }
      const follow: typeof slow.follow = (topics, ...rest) => {
        if (topics.includes('registry.v1')) found.push(registered)
        return slow.follow(topics, ...rest)
      }
      return { ...slow, publish, follow }
    },
  })
  expect(said).toContain('it is taking over, and tries again: service_standby: no head of its own came back')
  expect(fatal).toEqual([])
  const genesis = readGenesis(system.data).entities.map(({ type, id }) => `${type} ${id}`)
  const [all, nothing] = [genesis.length, 0]
  expect(found.slice(0, 4)).toEqual([nothing, all, all, all])
  await eventually(async () => (await fetch(`${system.url}/readyz`)).status === 200 || undefined)
  // Nothing was omitted, and nothing written twice.
  const written: string[] = []
  await using follower = await system.bus.follow(['registry.v1'], 'start', async (batch) => {
    for (const { bytes } of batch) written.push(JSON.parse(Buffer.from(bytes).toString()).subject)
  })
  await follower.caughtUp
  expect(written).toEqual(genesis)
})
