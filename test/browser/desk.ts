import { topics } from '@bailiwick/contracts'
import { type sample, sampleAuthority } from '@bailiwick/standalone/sample'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import { type System, type SystemOptions, startSystem } from '@bailiwick/testkit'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll } from 'vitest'
import { type InvoicesApi, startInvoicesApi } from '../demo/invoices-api.ts'
import { aPerson, enrolFirst, launch, type Person, patienceMs } from './browser.ts'

interface DeskOptions extends SystemOptions {
  viewport?: { width: number; height: number }
  /** Whether the person is the first approver already. */
  enrolled?: boolean
}

/** A system with its console, and Olivia, who uses it and owns the sample agents. */
export class Desk implements AsyncDisposable {
  system!: System
  invoices!: InvoicesApi
  browser!: Browser
  olivia!: Person
  readonly #opened = new AsyncDisposableStack()
  #asked = 1_000_000

  async open({ viewport, enrolled = true, ...options }: DeskOptions): Promise<void> {
    this.system = this.#opened.use(await startSystem(options))
    this.invoices = this.#opened.use(await startInvoicesApi(this.system))
    this.browser = this.#opened.adopt(await launch(), (browser) => browser.close())
    this.olivia = await aPerson(this.browser, viewport)
    if (enrolled) await enrolFirst(this.olivia, this.system)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#opened.disposeAsync()
  }

  /** Opens a page of the console. Resolves when the page has finished loading. */
  async goTo(path: string, { page }: Person = this.olivia): Promise<void> {
    await page.goto(`${this.system.url}/console/${path}`)
    await page.getByRole('heading', { level: 1 }).waitFor()
    await page.locator('.loading').first().waitFor({ state: 'detached' })
  }

  /** Signs the request that the page shows, as it was asked. */
  async approve(requestId: string, person: Person = this.olivia): Promise<void> {
    await this.goTo(`requests/${requestId}`, person)
    await person.press('Approve as asked…')
    await person.press('Sign with passkey')
  }

  /** Like `approve`, for a request that needs only one signature. Resolves when it counts. */
  async grant(requestId: string): Promise<void> {
    await this.approve(requestId)
    await this.olivia.page.getByText('Approved.', { exact: true }).waitFor()
  }

  /** Each request differs, because a denied request is paused under any name. Returns the request's id. */
  async ask(task: string, name: (typeof sample.agents)[number] = 'reconciler'): Promise<string> {
    const { requestId } = await sampleAgent(this.system.host, name).request({
      authority: { ...sampleAuthority, task, budget: { ...sampleAuthority.budget, egress_bytes: ++this.#asked } },
      mode: 'window',
      expiresInSeconds: 3600,
      purpose: 'Month end',
    })
    return requestId
  }

  /** Proposes a change of the registry, which waits for an answer. Returns its request id. */
  async propose(type: string, id: string, value: unknown): Promise<string> {
    const payload = { proposer: 'carl', entities: [{ type, id, value }] }
    const { operator } = this.system.host
    const answer = await operator.inject({ method: 'POST', url: '/operator/registry/changes', payload })
    return (answer.json() as { request_id: string }).request_id
  }

  /** The state of a decision point, once it has read everything that is there now. */
  async ledger() {
    const { projection } = this.system.services.policyDecision.pdp
    const facts = topics.flatMap(({ name, leaf }) => (leaf ? [name] : []))
    await projection.readToEnds(facts, patienceMs)
    return projection.ledger
  }

  /** The state of the request at a decision point. */
  async stateOf(requestId: string) {
    return (await this.ledger()).requests.requests.get(requestId)?.state
  }
}

/** For the tests of the calling block: opened before them, closed after them. */
export function atADesk(options: DeskOptions = {}): Desk {
  const desk = new Desk()
  beforeAll(() => desk.open(options))
  afterAll(() => desk[Symbol.asyncDispose]())
  return desk
}
