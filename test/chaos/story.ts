import { setTimeout as pause } from 'node:timers/promises'
import type { Agent } from '@bailiwick/agent'
import { errorCode, ServiceError } from '@bailiwick/errors'
import { systemClock, systemRandom } from '@bailiwick/kit'
import { sample, sampleAuthority } from '@bailiwick/standalone/sample'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import type { Approver, Place } from '@bailiwick/testkit'
import { again } from './again.ts'

/** All that callers were answered. It must be in the log, once, even if a process dies afterwards. */
export class Acknowledged {
  readonly requests = new Set<string>()
  readonly approvals = new Set<string>()
  readonly credentials = new Set<string>()
  readonly allows = new Set<string>()
  /** From when on nothing of a grant is allowed, since its withdrawal was acknowledged: ms since the epoch. */
  readonly withdrawals = new Map<string, number>()
  /** Calls that were let through although they began later than that. */
  readonly late: string[] = []
  /** When the call began that was let through last, ms since the epoch. */
  allowedBeganAt = 0
  /** Answers that were a no, and errors, by code: that the run was not all errors is worth seeing. */
  readonly refusals = new Map<string, number>()
  /** Refusals that say nothing: each hides an error that a person must see. */
  readonly unexplained: unknown[] = []

  refused(error: unknown, code: string = codeOf(error)): void {
    this.refusals.set(code, (this.refusals.get(code) ?? 0) + 1)
    if (code === 'internal') this.unexplained.push(error)
  }
}

/** A caller's own timeout is not an error of the system. */
const codeOf = (error: unknown): string =>
  error instanceof DOMException && error.name === 'TimeoutError' ? 'waited_in_vain' : errorCode(error)

/**
 * For how long after a withdrawal was acknowledged something may be allowed. V7 says 1 s, and 2 s for a service that is cut off. Here each service
 * may be cut off, since processes are killed and others wait for their turn: older state proves nothing (V8).
 */
const boundMs = 2000

interface Cast {
  agent: Agent
  approver: Approver
  invoicesUrl: string
  acknowledged: Acknowledged
  /** 0 … 1 */
  random: () => number
  stopped: () => boolean
}

/** A budget that one task runs into, so that spending is raced for as well. */
const authority = {
  ...sampleAuthority,
  permissions: sampleAuthority.permissions.map((each) => ('max_uses' in each ? { ...each, max_uses: 4 } : each)),
  budget: { calls: 16, cost: { EUR: '700.00' } },
}

const giveUpMs = 20_000

/** A life of each of the sample's agents. */
export function sampleLives(
  { data, trust, invoicesUrl }: Pick<Place, 'data' | 'trust' | 'invoicesUrl'>,
  cast: Omit<Cast, 'agent' | 'invoicesUrl'>,
): Promise<void>[] {
  const world = { data, trust, clock: systemClock, random: systemRandom }
  return sample.agents.map((name) => live({ ...cast, agent: sampleAgent(world, name), invoicesUrl }))
}

/** One agent's life: it asks, is approved, calls, and is withdrawn while it calls; over and over, through every fault around it. */
async function live(cast: Cast): Promise<void> {
  while (!cast.stopped()) await task(cast).catch((error) => cast.acknowledged.refused(error))
}

async function task({ agent, approver, invoicesUrl, acknowledged, random, stopped }: Cast): Promise<void> {
  const signed = agent.signRequest({ authority, mode: 'window', expiresInSeconds: 600 })
  const patience = { withinMs: giveUpMs, stopped }
  const { requestId } = await again(() => agent.request(signed), patience)
  acknowledged.requests.add(requestId)
  const grantId = await again(() => approved(approver, agent, requestId, acknowledged), patience)
  const { token } = await again(() => agent.credential({ grantId }, { wait: AbortSignal.timeout(2000) }), patience)
  acknowledged.credentials.add(JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).jti)

  let calling = true
  const caller = async () => {
    while (calling && !stopped()) {
      const retryAfterMs = await call({ agent, invoicesUrl, acknowledged, random }, grantId)
      for (const end = performance.now() + retryAfterMs; calling && performance.now() < end; ) await pause(50)
      await pause(5 + random() * 20)
    }
  }
  const callers = [caller(), caller(), caller()]
  try {
    await pause(100 + random() * 600)
    if (random() < 0.7) {
      await again(() => withdrawn(approver, requestId), patience)
      acknowledged.withdrawals.set(grantId, Date.now() + boundMs)
      await pause(random() * 1500)
    }
  } finally {
    calling = false
    await Promise.all(callers)
  }
}

/** An answer that was lost may have been a yes: then the agent learns so when it asks. */
export async function approved(
  approver: Approver,
  agent: Agent,
  requestId: string,
  { approvals }: Acknowledged,
): Promise<string> {
  const known = await agent.status(requestId)
  if (known.status === 'approved' && known.grantId !== undefined) return known.grantId
  const answer = await inSession(approver, () => approver.approve(requestId))
  if (answer.grant_id === undefined) throw new ServiceError('access_request_pending', answer.status)
  approvals.add(requestId)
  return answer.grant_id
}

async function withdrawn(approver: Approver, requestId: string): Promise<void> {
  await inSession(approver, () => approver.withdraw(requestId, 'enough'))
}

/** Sessions live in memory: after a restart of the console an approver signs in again. */
async function inSession<T>(approver: Approver, act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (error) {
    if (errorCode(error) !== 'caller_unauthenticated') throw error
    await approver.signIn()
    return act()
  }
}

/** Makes one call. Gives how long the agent is asked to wait before the next one, in ms. */
async function call(
  { agent, invoicesUrl, acknowledged, random }: Pick<Cast, 'agent' | 'invoicesUrl' | 'acknowledged' | 'random'>,
  grantId: string,
): Promise<number> {
  const tool = random() < 0.5 ? 'read' : 'adjust'
  const invoice = `INV-${1 + Math.floor(random() * 40)}`
  const properties = tool === 'read' ? { invoice } : { invoice, amount: '99.50', currency: 'EUR' }
  const began = Date.now()
  try {
    const response = await agent.fetch(
      `${invoicesUrl}/${tool}`,
      { method: 'POST' },
      {
        grant: { grantId },
        action: 'tools/call',
        resource: { type: 'tool', id: `${sample.toolServer}/${tool}` },
        properties,
      },
    )
    const answer = (await response.json()) as { code?: string }
    if (response.status !== 200) {
      acknowledged.refused(answer, answer.code ?? 'none')
      const isOverload = response.status === 429 || response.status === 503
      return isOverload ? 1000 * Number(response.headers.get('retry-after') ?? 0) : 0
    }
    const decisionId = response.headers.get('bailiwick-decision-id') ?? 'none'
    acknowledged.allows.add(decisionId)
    acknowledged.allowedBeganAt = Math.max(acknowledged.allowedBeganAt, began)
    if (began > (acknowledged.withdrawals.get(grantId) ?? Number.POSITIVE_INFINITY)) acknowledged.late.push(decisionId)
  } catch (error) {
    acknowledged.refused(error)
  }
  return 0
}
