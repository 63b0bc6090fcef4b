import type { Agent } from '@bailiwick/agent'
import { errorCode } from '@bailiwick/errors'
import { sample, sampleAuthority } from '@bailiwick/standalone/sample'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import { type Approver, enrolApprover, type RunningSystem } from '@bailiwick/testkit'
import { startInvoicesApi } from '../demo/invoices-api.ts'
import { eventually } from '../e2e/world.ts'

/** One action of a person or an agent. It refers to requests by number, in the order in which they were made. */
export type Step =
  | { does: 'ask'; agent: (typeof sample.agents)[number]; calls: number; over: 'topic' | 'http' }
  | { does: 'approve'; task: number; narrowedCalls?: number }
  | { does: 'deny'; task: number }
  | { does: 'call'; task: number; tool: 'read' | 'adjust' | 'delete'; amount: string; without?: 'grant' }
  | { does: 'withdraw'; task: number }

/** A history that depends on the seed only: the same steps in every mode. */
export function historyOf(seed: number, length: number): Step[] {
  const random = mulberry32(seed)
  const below = (n: number) => Math.floor(random() * n)
  const oneOf = <T>(values: readonly [T, ...T[]]): T => values[below(values.length)] ?? values[0]
  const steps: Step[] = []
  const tasks: ('asked' | 'approved' | 'over')[] = []
  const inState = (...states: string[]) => tasks.flatMap((state, n) => (states.includes(state) ? [n] : []))
  while (steps.length < length) {
    const [asked] = inState('asked')
    const known = inState('approved', 'over')
    const dice = random()
    if (asked !== undefined) {
      const deny = dice < 0.15
      steps.push(
        deny
          ? { does: 'deny', task: asked }
          : { does: 'approve', task: asked, ...(dice < 0.5 ? { narrowedCalls: 1 + below(4) } : {}) },
      )
      tasks[asked] = deny ? 'over' : 'approved'
    } else if (known.length === 0 || dice < 0.12) {
      const over = oneOf<'topic' | 'http'>(['topic', 'http'])
      steps.push({ does: 'ask', agent: oneOf(sample.agents), calls: 3 + below(8), over })
      tasks.push('asked')
    } else if (dice < 0.2 && inState('approved').length > 0) {
      const task = inState('approved')[0] ?? 0
      steps.push({ does: 'withdraw', task })
      tasks[task] = 'over'
    } else {
      const [first = 0, ...more] = known
      steps.push({
        does: 'call',
        task: oneOf([first, ...more]),
        tool: oneOf(['read', 'read', 'adjust', 'adjust', 'delete']),
        amount: oneOf(['1', '20.50', '500', '500.01', '1e3']),
        ...(dice > 0.95 ? { without: 'grant' as const } : {}),
      })
    }
  }
  return steps
}

/** Plays a history, one step after the other. Returns the answer to each step. */
export async function play(system: Played, history: readonly Step[]): Promise<string[]> {
  const approver = await enrolApprover(system)
  await using invoices = await startInvoicesApi(system, { timeoutMs: 12_000 })
  const player = new Player(system, approver)
  const answers: string[] = []
  for (const step of history) {
    answers.push(`${step.does}: ${await player.play(step)}`)
    // The outcome of a step is delivered before the next step begins: otherwise timing would decide which of the two
    // comes first.
    await invoices.delivered()
    // More than ten denials a second would be summarised, and how many of them would depend on timing, too.
    await new Promise((resolve) => setTimeout(resolve, 120))
  }
  return answers
}

/** A running system, and where the metrics of each of its decision points are. */
export type Played = RunningSystem & { decisionPoints: readonly string[] }

/** Waits until that decision point has read this much of a topic. */
async function read(url: string, topic: string, messages: number): Promise<void> {
  const folded = new RegExp(
    `^bailiwick_projection_folded_messages\\{(?=[^}]*role="policy-decision")[^}]*topic="${topic}"[^}]*\\} (\\d+)$`,
    'm',
  )
  await eventually(async () => Number(folded.exec(await (await fetch(`${url}/metrics`)).text())?.[1]) >= messages)
}

interface Task {
  agent: Agent
  requestId: string
  grantId?: string
}

class Player {
  readonly #system: Played
  readonly #approver: Approver
  readonly #tasks: Task[] = []

  constructor(system: Played, approver: Approver) {
    this.#system = system
    this.#approver = approver
  }

  async play(step: Step): Promise<string> {
    switch (step.does) {
      case 'ask':
        return this.#ask(step)
      case 'approve': {
        const { agent, requestId } = this.#task(step.task)
        const narrowed = step.narrowedCalls === undefined ? {} : { authority: authorityOf(step.narrowedCalls) }
        const { status } = await this.#approver.approve(requestId, narrowed)
        // The console's answer waits only a while for the grant; the history goes on once there is a grant.
        const { grantId } = await agent.waitForDecision(requestId)
        if (grantId === undefined) throw new Error(`${requestId} was approved, and there is no grant`)
        this.#tasks[step.task] = { agent, requestId, grantId }
        return status
      }
      case 'deny':
        await this.#approver.deny(this.#task(step.task).requestId, 'Not now.')
        return 'denied'
      case 'withdraw': {
        const { revoked_sequence } = await this.#approver.withdraw(this.#task(step.task).requestId, 'No longer.')
        // Until a decision point has read the revocation, V7 lets it allow calls: timing would decide the next answer.
        // Each revocation except this one is followed by its acknowledgement.
        const messages = 2 * Number(revoked_sequence) - 1
        for (const url of this.#system.decisionPoints) await read(url, 'revocations.v1', messages)
        return `revocation ${revoked_sequence}`
      }
      case 'call':
        return this.#called(step)
    }
  }

  #task(n: number): Task {
    const task = this.#tasks[n]
    if (task === undefined) throw new Error(`there is no task ${n}`)
    return task
  }

  async #ask({ agent: name, calls, over }: Extract<Step, { does: 'ask' }>): Promise<string> {
    const agent = sampleAgent(this.#system, name)
    // Each request is for another duration: an identical request is paused after a denial.
    const expiresInSeconds = 3600 - this.#tasks.length
    const ask = { authority: authorityOf(calls), mode: 'window', expiresInSeconds, purpose: 'Parity.' } as const
    const known = new Set((await this.#approver.state()).requests.map(({ id }) => id))
    if (over === 'http') await agent.request(ask)
    else await this.#system.bus.publish('access-requests.v1', [agent.accessRequestEvent(agent.signRequest(ask))])
    for (let tries = 0; tries < 2400; tries++) {
      const { requests } = await this.#approver.state()
      const pending = requests.find(({ id }) => !known.has(id))
      if (pending) {
        this.#tasks.push({ agent, requestId: pending.id })
        return 'pending'
      }
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
    throw new Error('the request was not received')
  }

  /**
   * An instance that has not reached Redis yet requires its own nonce each time: repeats until the answer is about the
   * action.
   */
  async #called(step: Extract<Step, { does: 'call' }>): Promise<string> {
    for (let tries = 1; ; tries++) {
      const answer = await this.#call(step)
      if (tries === 100 || !answer.endsWith('proof_nonce_required')) return answer
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }

  async #call({ task, tool, amount, without }: Extract<Step, { does: 'call' }>): Promise<string> {
    const { agent, grantId } = this.#task(task)
    const properties = tool === 'adjust' ? { invoice: 'INV-7', amount, currency: 'EUR' } : { invoice: 'INV-7' }
    const granted = without === undefined && grantId !== undefined
    try {
      const response = await agent.fetch(
        `${this.#system.invoicesUrl}/${tool}`,
        { method: 'POST' },
        {
          ...(granted ? { grant: { grantId } } : {}),
          action: 'tools/call',
          resource: { type: 'tool', id: `${sample.toolServer}/${tool}` },
          properties,
        },
      )
      const answer = (await response.json()) as { code?: string }
      return `${response.status} ${response.ok ? 'allowed' : answer.code}`
    } catch (error) {
      return `no credential: ${errorCode(error)}` // the issuer refused
    }
  }
}

const authorityOf = (calls: number) => ({ ...sampleAuthority, budget: { ...sampleAuthority.budget, calls } })

/** A small generator that only needs to be the same everywhere. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
