import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Agent, type AgentOptions, createAgent } from '@bailiwick/agent'
import type { Bus, Outgoing } from '@bailiwick/bus'
import type { Trust } from '@bailiwick/credentials'
import { paths, readInstallation } from '@bailiwick/installation'
import { systemClock, systemRandom } from '@bailiwick/kit'
import { sample, sampleAgentId, sampleAuthority, sampleKey } from '@bailiwick/standalone/sample'
import { type Approver, enrolApprover, freePort, type System, startSystem } from '@bailiwick/testkit'
import type { AuditReport } from '@bailiwick/verify/audit'
import { audit } from '../audit.ts'
import { type InvoicesApi, startInvoicesApi } from '../demo/invoices-api.ts'
import { eventually } from '../e2e/world.ts'

export type Publish = (topic: string, events: readonly Outgoing[]) => Promise<void>

/** Whether one of these events is of this type. */
export const holds = (events: readonly Outgoing[], type: string): boolean =>
  events.some(({ bytes }) => JSON.parse(Buffer.from(bytes).toString('utf8')).type === type)

/** The whole system, its people and its agent, with a hand on the bus: what services publish waits for, or fails with, `before`. */
export class Stage implements AsyncDisposable {
  readonly data = mkdtempSync(join(tmpdir(), 'bailiwick-stage-'))
  /** A head that is late on a busy machine makes no service stale. A test about staleness sets another value. */
  env: Record<string, string> = { BAILIWICK_MAX_STALENESS: '10s' }
  /** Called with what a service publishes, before it is published. */
  before: Publish = async () => undefined
  #port = 0
  #invoicesPort = 0
  #system: System | undefined
  #approver: Approver | undefined
  #invoices: InvoicesApi | undefined

  static async open(env: Record<string, string> = {}): Promise<Stage> {
    const stage = new Stage()
    Object.assign(stage.env, env)
    stage.#port = await freePort()
    stage.#invoicesPort = await freePort()
    await stage.start()
    const { system } = stage
    stage.#approver = await enrolApprover(system)
    stage.#invoices = await startInvoicesApi(system)
    return stage
  }

  async start(): Promise<void> {
    const wrapBus = (bus: Bus): Bus => ({
      publish: async (topic, events) => {
        await this.before(topic, events)
        return bus.publish(topic, events)
      },
      consume: (...args) => bus.consume(...args),
      follow: (...args) => bus.follow(...args),
      ends: (topic) => bus.ends(topic),
      [Symbol.asyncDispose]: () => bus[Symbol.asyncDispose](),
    })
    this.#system = await startSystem({
      data: this.data,
      port: this.#port,
      invoicesPort: this.#invoicesPort,
      wrapBus,
      env: this.env,
    })
  }

  async stop(): Promise<void> {
    await this.#system?.[Symbol.asyncDispose]()
    this.#system = undefined
  }

  async restart(): Promise<void> {
    await this.stop()
    await this.start()
  }

  get trust(): Trust {
    return readInstallation(this.data).trust
  }

  get system(): System {
    if (this.#system === undefined) throw new Error('the system does not run')
    return this.#system
  }

  get approver(): Approver {
    if (this.#approver === undefined) throw new Error('no approver is enrolled')
    return this.#approver
  }

  get invoices(): InvoicesApi {
    if (this.#invoices === undefined) throw new Error('there is no API')
    return this.#invoices
  }

  get effects(): number {
    const { read, adjust } = this.invoices.ledger.effects
    return read + adjust
  }

  agent(more: Partial<AgentOptions> = {}): Agent {
    const { trust } = this.system.host
    return createAgent({
      agentId: sampleAgentId('reconciler'),
      instance: sample.instance,
      key: sampleKey(this.data, 'reconciler'),
      installation: trust.installation,
      baseUrl: trust.public_url,
      now: () => systemClock.now(),
      random: systemRandom,
      ...more,
    })
  }

  /** A grant of the sample task. */
  async grant(agent: Agent): Promise<{ requestId: string; grantId: string }> {
    const { requestId } = await agent.request({ authority: sampleAuthority, mode: 'window', expiresInSeconds: 600 })
    const { grant_id: grantId } = await this.approver.approve(requestId)
    if (grantId === undefined) throw new Error('no grant')
    return { requestId, grantId }
  }

  /** Reads an invoice. Gives `allowed`, or the reason of the denial. */
  async read(agent: Agent, grantId: string): Promise<string> {
    const response = await agent.fetch(
      `${this.invoices.url}/read`,
      { method: 'POST' },
      {
        grant: { grantId },
        action: 'tools/call',
        resource: { type: 'tool', id: `${sample.toolServer}/read` },
        properties: { invoice: 'INV-1' },
      },
    )
    const answer = (await response.json()) as { code?: string }
    return response.status === 200 ? 'allowed' : (answer.code ?? 'none')
  }

  /** Reads once successfully; on a busy machine the first decision may miss its deadline, which is a denial like any other. */
  async warm(agent: Agent, grantId: string): Promise<void> {
    let answer = ''
    await eventually(async () => {
      answer = await this.read(agent, grantId)
      return answer === 'allowed' || undefined
    }).catch((cause) => Promise.reject(new Error(`not allowed: ${answer}`, { cause })))
  }

  /** As `read`, but asks again while the answer is only that the machine is busy. */
  async judged(agent: Agent, grantId: string): Promise<string> {
    return eventually(async () => {
      const answer = await this.read(agent, grantId)
      return answer === 'deadline_exceeded' ? undefined : answer
    })
  }

  /** Every event of a topic that is durable. */
  async events(topic: string): Promise<{ type: string; data: unknown }[]> {
    const found: { type: string; data: unknown }[] = []
    await using follower = await this.system.bus.follow([topic], 'start', async (batch) => {
      for (const { bytes } of batch) found.push(JSON.parse(Buffer.from(bytes).toString()))
    })
    await follower.caughtUp
    return found
  }

  /** Ends the play, and has its log audited. */
  async audited(): Promise<AuditReport> {
    await this.invoices.delivered()
    await this.stop()
    const { log: logDir, trust: trustPath } = paths(this.data)
    return audit({ logDir, trustPath })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#invoices?.[Symbol.asyncDispose]()
    await this.stop()
    rmSync(this.data, { recursive: true, force: true })
  }
}
