import { setTimeout as pause } from 'node:timers/promises'
import type { Agent } from '@bailiwick/agent'
import type { ServiceName } from '@bailiwick/contracts'
import { errorCode } from '@bailiwick/errors'
import {
  type Approver,
  enrolApprover,
  type Processes,
  type ProcessesOptions,
  type ServiceProcess,
  startProcesses,
} from '@bailiwick/testkit'
import type { AuditReport } from '@bailiwick/verify/audit'
import { afterAll, afterEach, beforeEach, expect } from 'vitest'
import { type InvoicesApi, startInvoicesApi } from '../../demo/invoices-api.ts'
import { eventually } from '../../e2e/world.ts'
import { quiet, reckon } from '../reckoning.ts'
import { generator, seed } from '../seed.ts'
import { Acknowledged, approved, sampleLives } from '../story.ts'
import { nightly } from './counts.ts'

/** A slow answer of a busy machine is not a failure. At night the machine may be busier. */
export const readyWithinMs = nightly ? 300_000 : 90_000

/** The services as processes on a real broker and a real Redis, with people and agents who live through what happens to them. */
export class Play implements AsyncDisposable {
  readonly system: Processes
  readonly acknowledged = new Acknowledged()
  readonly random = generator(seed)
  readonly #approver: Approver
  readonly #invoices: InvoicesApi

  private constructor(system: Processes, approver: Approver, invoices: InvoicesApi) {
    this.system = system
    this.#approver = approver
    this.#invoices = invoices
  }

  static async open(options: ProcessesOptions = {}): Promise<Play> {
    await using opened = new AsyncDisposableStack()
    const system = opened.use(await startProcesses(options))
    const approver = await enrolled(system)
    const invoices = await startInvoicesApi(system)
    opened.move()
    return new Play(system, approver, invoices)
  }

  get all(): ServiceProcess[] {
    return Object.values(this.system.processes).flat()
  }

  /**
   * Agents ask, act and are withdrawn, in so many tasks of each at once, while `fault` happens, and some time after it; then all that they were ever told is held
   * against the log.
   */
  async through(about: string, fault: () => Promise<void>, { tasksOfEach = 1 } = {}): Promise<AuditReport> {
    const { system, acknowledged, random } = this
    let stopping = false
    const cast = { approver: this.#approver, acknowledged, random, stopped: () => stopping }
    const lives = Array.from({ length: tasksOfEach }, () => sampleLives(system, cast)).flat()
    try {
      await this.goesOn()
      await fault()
      await system.ready(readyWithinMs)
      await this.goesOn()
    } finally {
      stopping = true
      const late = pause(readyWithinMs, 'late', { ref: false })
      if ((await Promise.race([Promise.all(lives), late])) === 'late')
        console.log(`the agents do not come home:\n${this.#lastWords()}`)
    }
    await this.#invoices.delivered()
    await quiet(await this.#evidenceUrl())
    const { read, adjust } = this.#invoices.ledger.effects
    const report = await reckon(
      system.data,
      { about, seed },
      { acknowledged, effects: read + adjust, errors: this.all.flatMap(({ errors }) => errors) },
    )
    for (const { service, crashes, successions, output } of this.all) {
      expect(crashes, `${service}: ${output}`).toBe(0)
      if (system.processes[service as ServiceName].length === 1) expect(successions, `${service}: ${output}`).toBe(0)
    }
    return report
  }

  /** What an agent that does not live here asks for, approved: the id of its grant. */
  async granted(agent: Agent, authority: unknown): Promise<string> {
    const signed = agent.signRequest({ authority, mode: 'window', expiresInSeconds: 3600 })
    return eventually(async () => {
      const asked = await agent.request(signed).catch(() => undefined)
      return asked && approved(this.#approver, agent, asked.requestId, this.acknowledged).catch(() => undefined)
    })
  }

  /** Of the instance that acts. */
  async #evidenceUrl(): Promise<string> {
    const { evidence } = this.system.processes
    for (const end = performance.now() + readyWithinMs; performance.now() < end; await pause(50))
      for (const { url } of evidence) {
        const answer = await fetch(`${url}/readyz`).catch(() => undefined)
        if (answer?.status === 200) return url
      }
    throw new Error(`no evidence acts:\n${this.#lastWords()}`)
  }

  /** Resolves when a call is let through that was not when it was asked; gives how long that took, in ms. */
  async goesOn(withinMs = readyWithinMs): Promise<number> {
    const began = performance.now()
    const { size } = this.acknowledged.allows
    while (this.acknowledged.allows.size === size) {
      const ms = performance.now() - began
      if (ms > withinMs) throw new Error(`nothing is allowed after ${Math.round(ms)} ms:\n${this.#lastWords()}`)
      await pause(20)
    }
    return Math.round(performance.now() - began)
  }

  #lastWords(): string {
    const refusals = JSON.stringify(Object.fromEntries(this.acknowledged.refusals))
    return [refusals, ...this.all.map(({ service, output }) => `${service}: ${output.slice(-2000)}`)].join('\n')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#invoices[Symbol.asyncDispose]()
    await this.system[Symbol.asyncDispose]()
  }
}

/**
 * One play for the tests of a file, handed to `give` before each; after a test that failed another one: a second try (decision 37)
 * would begin with what the first left, and fail for that.
 */
export function usePlay(options: ProcessesOptions, give: (play: Play) => void): void {
  let play: Play | undefined
  const end = async () => {
    await play?.[Symbol.asyncDispose]()
    play = undefined
  }
  beforeEach(async () => {
    play ??= await Play.open(options)
    give(play)
  })
  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') await end()
  })
  afterAll(end)
}

/** What it was shown is remembered by the one that acted then; where another one took over at the start, it begins again, as a person would. */
async function enrolled(system: Processes, tries = 3): Promise<Approver> {
  return enrolApprover(system).catch((error) => {
    if (tries === 1 || errorCode(error) !== 'statement_unknown') throw error
    return enrolled(system, tries - 1)
  })
}
