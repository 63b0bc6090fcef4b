import { type Break, type Bus, faultyBus } from '@bailiwick/bus'
import type { SigningKey } from '@bailiwick/credentials'
import { expect, it } from 'vitest'
import { askTokenWithNonce } from './agent-side.ts'
import { People } from './people.ts'
import { eventually, World } from './world.ts'

type Step = 'credential.intended' | 'sign' | 'credential.issued'

const eventIn = (bytes: Uint8Array) =>
  JSON.parse(Buffer.from(bytes).toString()) as { type: string; data: { credential_id: string } }
const jtiIn = (signed: Uint8Array): string =>
  JSON.parse(Buffer.from(Buffer.from(signed).toString().split('.')[1] ?? '', 'base64url').toString()).jti

/**
 * Kills an issuer at one step of minting, before or after the step's effect. From then on nothing that it sends
 * arrives, except the head with which it stops, so that its successor need not wait.
 */
class Killer {
  readonly #step: Step
  readonly #where: Break
  readonly #intended = new Set<string>()
  /** Each signature by a credential key, and whether its intent was durable by then. */
  readonly signatures: { jti: string; recorded: boolean }[] = []
  armed = false
  dead = false
  #lives = 0

  constructor(step: Step, where: Break) {
    this.#step = step
    this.#where = where
  }

  /** Starts another issuer in its place; nothing that the dead one still tries is sent. */
  revive(): void {
    this.#lives++
    this.armed = false
    this.dead = false
  }

  #at(steps: readonly string[], life = this.#lives): Break | undefined {
    if (this.dead || life !== this.#lives) return 'before'
    if (!this.armed || !steps.includes(this.#step)) return undefined
    this.dead = true
    return this.#where
  }

  bus = (real: Bus): Bus => {
    const life = this.#lives
    let steps: string[] = []
    const noting: Bus = {
      ...bound(real),
      publish: async (topic, events) => {
        const positions = await real.publish(topic, events)
        for (const { type, data } of events.map(({ bytes }) => eventIn(bytes)))
          if (type === 'credential.intended') this.#intended.add(data.credential_id)
        return positions
      },
    }
    const faulty = faultyBus(noting, ({ method, topic }) =>
      method === 'publish' && topic !== 'heads.v1' ? this.#at(steps, life) : undefined,
    )
    return {
      ...bound(faulty),
      publish: (topic, events) => {
        steps = events.map(({ bytes }) => eventIn(bytes).type)
        return faulty.publish(topic, events)
      },
    }
  }

  /** The key with whose file the issuer's signer signs. */
  key = (key: SigningKey<'credential'>): SigningKey<'credential'> => ({
    ...key,
    sign: (data) => {
      const where = this.#at(['sign'])
      if (where === 'before') throw new Error('killed')
      const jti = jtiIn(data)
      this.signatures.push({ jti, recorded: this.#intended.has(jti) })
      if (where === 'after') throw new Error('killed')
      return key.sign(data)
    },
  })
}

const bound = (bus: Bus): Bus => ({
  publish: (topic, events) => bus.publish(topic, events),
  consume: (topics, group, handler) => bus.consume(topics, group, handler),
  follow: (topics, since, handler) => bus.follow(topics, since, handler),
  ends: (topic) => bus.ends(topic),
  // The world owns the real one.
  [Symbol.asyncDispose]: async () => undefined,
})

it.each<[Step, Break, intents: number, signatures: number, issued: number]>([
  ['credential.intended', 'before', 1, 1, 1],
  ['credential.intended', 'after', 2, 1, 1],
  ['sign', 'before', 2, 1, 1],
  ['sign', 'after', 2, 2, 1],
  ['credential.issued', 'before', 2, 2, 1],
  ['credential.issued', 'after', 2, 2, 2],
])(
  'an issuer killed at %s, %s its effect, signed nothing without an intent and nothing twice, and the retry is answered (V2, V4)',
  async (step, where, intents, signatures, issued) => {
    const killer = new Killer(step, where)
    await using world = await World.open({ issuerBus: killer.bus, credentialKey: killer.key })
    const { grantId } = await (await People.enrolled(world)).grant()
    const ask = () => askTokenWithNonce(world, { details: [{ type: 'bailiwick_grant', grant_id: grantId }] })
    killer.armed = true
    let answered: string | undefined
    const lost = ask().then(
      ({ token }) => {
        answered = token
      },
      () => undefined,
    )
    await eventually(() => killer.dead)
    await world.issuer?.[Symbol.asyncDispose]()
    killer.revive()
    await world.startIssuer()
    const { token, status } = await eventually(async () => {
      const answer = await ask()
      return answer.status === 200 ? answer : undefined
    })
    expect(status).toBe(200)
    expect(answered).toBeUndefined()
    const events = await world.events('grants.v1')
    const ids = (type: string) =>
      events.flatMap((event) => (event.type === type ? [(event.data as { credential_id: string }).credential_id] : []))
    const intended = ids('credential.intended')
    expect(intended).toHaveLength(intents)
    expect(new Set(intended).size).toBe(intents)
    expect(killer.signatures).toHaveLength(signatures)
    expect(killer.signatures.every(({ recorded }) => recorded)).toBe(true)
    const signed = killer.signatures.map(({ jti }) => jti)
    expect(new Set(signed).size).toBe(signatures)
    expect(ids('credential.issued')).toHaveLength(issued)
    expect(new Set(ids('credential.issued')).size).toBe(issued)
    for (const id of ids('credential.issued')) expect(signed).toContain(id)
    expect(signed.at(-1)).toBe(jtiIn(Buffer.from(token ?? '')))
    void lost
  },
)
