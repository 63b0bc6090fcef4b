import { kafkaBus } from '@bailiwick/bus/kafka'
import { sampleAuthority } from '@bailiwick/standalone/sample'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import type { ServiceProcess } from '@bailiwick/testkit'
import { operatorAt } from '../../abuse/operator.ts'
import { Point } from '../../e2e/agent-side.ts'
import { eventually } from '../../e2e/world.ts'
import { overTheWire } from '../over-the-wire.ts'
import { type Play, readyWithinMs } from './play.ts'

const topic = 'attachments.policy-decision.v1'
/** Longer than a call that is kept. */
const tooLong = 'x'.repeat(20_001)

/** A decision point whose kept calls are held up on their way to evidence, as an operator and an agent see it. */
export class LateHandOver {
  readonly #play: Play
  readonly #late: ServiceProcess
  readonly cli: ReturnType<typeof operatorAt>
  #grantId = ''

  constructor(play: Play, late: ServiceProcess) {
    this.#play = play
    this.#late = late
    this.cli = operatorAt(play.system.data)
  }

  /**
   * A call that its decision point allowed and could not hand over yet: what it says of decisions goes through connections that it
   * has, and what it has never handed over needs a new one. Then the line is cut as a whole, and that is waited for.
   */
  async held(invoice: string): Promise<string> {
    const { line } = this.#play.system
    await this.#late.kill()
    this.#late.start()
    await this.#late.ready(readyWithinMs)
    const agent = sampleAgent(this.#play.system, 'reconciler')
    this.#grantId ||= await this.#play.granted(agent, sampleAuthority)
    await this.allowed(this.#late, tooLong)
    line?.hold()
    const decisionId = await this.allowed(this.#late, invoice)
    line?.cut()
    await eventually(async () => ((await fetch(`${this.#late.url}/readyz`)).status === 200 ? undefined : true))
    return decisionId
  }

  /** The ALLOW of a call with this argument, by that very decision point; what only says that it is busy is asked again. */
  allowed(at: ServiceProcess, invoice: string): Promise<string> {
    const point = new Point({ ...this.#play.system, http: overTheWire(at.url) })
    const agent = sampleAgent(this.#play.system, 'reconciler')
    return eventually(async () => {
      try {
        const { token: credential } = await agent.credential({ grantId: this.#grantId })
        const answer = await point.call({ credential, tool: 'read', properties: { invoice } })
        return answer.decision ? answer.decisionId : undefined
      } catch {
        return undefined
      }
    })
  }

  /** What was handed over about a decision, and erased, in the order of the topic. */
  async said(decisionId: string): Promise<string[]> {
    const { connection, logger } = this.#play.system
    await using bus = await kafkaBus({ connection: connection('admin'), logger })
    const types: string[] = []
    await using follower = await bus.follow([topic], 'start', async (batch) => {
      for (const { bytes } of batch) {
        const { type, data } = JSON.parse(Buffer.from(bytes).toString())
        if (data.about === decisionId) types.push(type)
      }
    })
    await follower.caughtUp
    return types
  }
}
