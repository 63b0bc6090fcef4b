import type { Bus, Message } from '@bailiwick/bus'
import { sample, sampleAgentId } from '@bailiwick/standalone/sample'
import { type CallAnswer, type Point, read } from '../e2e/agent-side.ts'
import type { Granted } from '../e2e/granted.ts'
import type { Approved } from '../e2e/people.ts'
import { eventually } from '../e2e/world.ts'

/** Rounds of an attack: few in a landing, as many as were asked for at night. */
export const roundsOf = (few: number, nightly: number) => (process.env.BAILIWICK_NIGHTLY === '1' ? nightly : few)

/**
 * V7's bound for a decision point that is not cut off, with an allowance for the delay that a busy machine adds in both
 * directions.
 */
export const boundMs = 1000

const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())

/** The revocation that ends this grant or this credential, chosen in turn. */
export function targetOf(round: number, grant: Approved, credential: string): [kind: string, target: string] {
  const all = [
    ['grant', grant.grantId],
    ['credential', claimsOf(credential).jti],
    ['agent', sampleAgentId('reconciler')],
    ['agent', grant.statement.agent],
    ['approver', sample.owner],
    ['tool-server', sample.toolServer],
    ['all', '*'],
  ] as const
  const [kind, target] = all[round % all.length] ?? all[0]
  return [kind, target]
}

/** Orders a revocation until it is acknowledged: an issuer that a busy machine delays answers 503, and promises nothing. */
export function acknowledged({ world }: Pick<Granted, 'world'>, kind: string, target: string): Promise<void> {
  return eventually(async () => {
    const status = await world.revoke(kind, target)
    if (status !== 200 && status !== 503) throw new Error(`not revoked: ${status}`)
    return status === 200 || undefined
  }, 60_000).then(() => undefined)
}

/** Waits until the revocation is acknowledged and its bound is over. */
export async function revoked(system: Pick<Granted, 'world'>, kind: string, target: string): Promise<void> {
  await acknowledged(system, kind, target)
  await new Promise((resolve) => setTimeout(resolve, boundMs))
}

/** The answer of each point for a credential. A decision that a busy machine could not make is requested again. */
export async function verdictsOf(points: readonly Point[], credential: string): Promise<CallAnswer[]> {
  const passing: ReadonlySet<string | undefined> = new Set(['state_stale', 'deadline_exceeded', 'grant_unknown'])
  return Promise.all(
    points.map((point) =>
      eventually(async () => {
        const answer = await point.call({ credential, ...read })
        return passing.has(answer.reason) ? undefined : answer
      }, 20_000),
    ),
  )
}

/** Everything on a topic, as it stands on the bus. */
export async function messagesOf(bus: Bus, topics: readonly string[]): Promise<Message[]> {
  const found: Message[] = []
  await using follower = await bus.follow(topics, 'start', async (batch) => void found.push(...batch))
  await follower.caughtUp
  return found
}

/**
 * A bus whose followers can be made to read everything again from the start, as after an offset reset: the same
 * messages at the same positions, after those that they have read since.
 */
export function resettable(real: Bus): { bus: Bus; reset(): Promise<void> } {
  const followers: { topics: readonly string[]; handle: (batch: readonly Message[]) => Promise<void> }[] = []
  const bus = new Proxy(real, {
    get(target, name) {
      const member = Reflect.get(target, name)
      if (typeof member !== 'function') return member
      if (name !== 'follow') return member.bind(target)
      return (...[topics, since, handler]: Parameters<Bus['follow']>) => {
        // One batch after the other, as a follower delivers them.
        let last: Promise<void> = Promise.resolve()
        const handle = (batch: readonly Message[]) => {
          last = last.then(() => handler([...batch] as never))
          return last
        }
        followers.push({ topics, handle })
        return target.follow(topics, since, handle)
      }
    },
  })
  return {
    bus,
    async reset() {
      for (const { topics, handle } of followers) await handle(await messagesOf(real, topics))
    },
  }
}
