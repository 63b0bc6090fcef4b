import type { Agent } from '@bailiwick/agent'
import { expect, it } from 'vitest'
import { askTokenWithNonce, credentialFor, Point, read } from '../e2e/agent-side.ts'
import { granted } from '../e2e/granted.ts'
import { People } from '../e2e/people.ts'
import { by, passedOn, reconcilerOf, SubAgents, sdkOf } from '../e2e/sub-agents.ts'
import { eventually, World } from '../e2e/world.ts'
import { acknowledged, boundMs, messagesOf, roundsOf, targetOf, verdictsOf } from './revocation-world.ts'

const rounds = roundsOf(4, 200)
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const [readOnly] = passedOn.permissions
const onlyRead = { ...passedOn, permissions: [readOnly], budget: { calls: 100, cost: {} } }

it(
  'a revocation that races minting, exchange and decisions ends everything obtained by then, within the bound (V7)',
  async () => {
    const subs = new SubAgents(1)
    await using system = await granted({ entities: subs.entities }, { authority: passedOn })
    const { world, people, point } = system
    const sub = subs.at(0)
    const redeemer = sdkOf(world, sub)
    for (let round = 0; round < rounds; round++) {
      const grant = await people.grant({ authority: passedOn })
      const credential = await credentialFor(world, grant.grantId)
      const parent: Agent = sdkOf(world, reconcilerOf(world))
      const of = { grantId: grant.grantId }
      const expiresAt = world.clock.now() + 1_800_000
      const passed = await Promise.all(
        Array.from({ length: 3 }, () =>
          parent.delegate({ of, to: sub.id, key: sub.key.kid, authority: onlyRead, expiresAt }),
        ),
      )
      const held: { token: string; own: boolean }[] = [{ token: credential, own: true }]
      const lateAllows: string[] = []
      let over = Number.POSITIVE_INFINITY
      const [kind, target] = targetOf(round, grant, credential)
      const racing: Promise<unknown>[] = []
      const ask = async (token: string, own: boolean) => {
        const call = own ? { credential: token, ...read } : by(sub, token, read)
        const asked = performance.now() // a busy machine may deliver an earlier answer after the bound
        const { decision } = await point.call(call)
        if (decision && asked > over) lateAllows.push(`${kind} ${own ? 'own' : 'passed on'}`)
      }
      for (let n = 0; n < 3; n++) {
        const details = [{ type: 'bailiwick_grant', grant_id: grant.grantId }]
        const mints = askTokenWithNonce(world, { details }).then(
          ({ token }) => token && held.push({ token, own: true }),
        )
        const { delegation } = passed[n] ?? { delegation: '' }
        const redeems = redeemer.credential({ delegation }).then(({ token }) => held.push({ token, own: false }))
        racing.push(mints, redeems, ask(credential, true))
      }
      await pause(round % 7) // at times before, between or after them
      const told = acknowledged(system, kind, target).then(() => {
        over = performance.now() + boundMs
      })
      racing.push(ask(credential, true), ask(credential, true))
      await Promise.allSettled(racing)
      await told
      await pause(Math.max(0, over - performance.now()))
      // Revoking a credential by its id ends that credential only.
      for (const { token, own } of held) if (kind !== 'credential' || token === credential) await ask(token, own)
      expect(lateAllows).toEqual([])
      const more = await askTokenWithNonce(world, { details: [{ type: 'bailiwick_grant', grant_id: grant.grantId }] })
      expect(more.token === undefined).toBe(kind !== 'credential')
    }
  },
  rounds * 15_000,
)

it(
  'an approval delivered up to twenty times, to four successive issuers, makes one grant (V10)',
  async () => {
    await using world = await World.empty()
    const issuers: AsyncDisposable[] = []
    while (issuers.length < 4) issuers.push(await world.startIssuer())
    world.pdp = await world.startPdp()
    world.approval = await world.participant('approval', 'approval-event')
    const people = await People.enrolled(world)
    const { projection } = world.approval
    for (let round = 0; round < roundsOf(3, 50); round++) {
      const received = await people.ask()
      const statement = people.statement(received)
      const handed = people.hand(received.request_id, statement)
      const approved = await handed
      const [message] = (await messagesOf(world.bus, ['approvals.v1'])).filter(({ bytes }) => {
        const { type, subject } = JSON.parse(Buffer.from(bytes).toString()) as { type: string; subject: string }
        return type === 'request.approved' && subject === received.request_id
      })
      if (!message) throw new Error('there is no approval')
      const { key, bytes } = message
      const again = Promise.all(
        Array.from({ length: 1 + ((round * 7) % 20) }, () => world.bus.publish('approvals.v1', [{ key, bytes }])),
      )
      // The active issuer stops in the middle of it and the next takes over; then a fourth is started again.
      if (round % 2 === 1) {
        await issuers.shift()?.[Symbol.asyncDispose]()
        issuers.push(await world.startIssuer())
      }
      await again
      await eventually(() => projection.ledger.grants.trees.get(approved.grantId), 20_000)
    }
    await pause(500)
    const created = (await world.events('grants.v1')).flatMap(({ type, data }) =>
      type === 'grant.created' ? [data.grant] : [],
    )
    const trees = [...projection.ledger.grants.trees.values()]
    expect(trees).toHaveLength(roundsOf(3, 50))
    // Where two issuers wrote the event, both wrote the same, and it counts once.
    expect(new Set(created.map(({ id }) => id)).size).toBe(trees.length)
    expect(new Set(created.map(({ request_id }) => request_id)).size).toBe(trees.length)
    expect(trees.every(({ version }) => version === 1)).toBe(true)
  },
  roundsOf(3, 50) * 20_000,
)

it(
  'after the bound, neither of two decision points allows what the other was asked for (V7)',
  async () => {
    await using system = await granted()
    const { world, people, point } = system
    const second = new Point(world, (await world.startPdp()).http)
    for (let round = 0; round < rounds; round++) {
      const grant = await people.grant()
      const credential = await credentialFor(world, grant.grantId)
      const flood = Array.from({ length: 6 }, (_, n) => (n % 2 ? second : point).call({ credential, ...read }))
      const [kind, target] = targetOf(round, grant, credential)
      await acknowledged(system, kind, target)
      await Promise.all(flood)
      await pause(boundMs)
      const verdicts = await verdictsOf([point, second], credential)
      expect({ kind, allowed: verdicts.filter(({ decision }) => decision) }).toEqual({ kind, allowed: [] })
    }
  },
  rounds * 15_000,
)
