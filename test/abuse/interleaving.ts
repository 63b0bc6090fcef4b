import type { Agent } from '@bailiwick/agent'
import { grantIdOf, groupHash, requestIdOf, statementHash } from '@bailiwick/approval-statement'
import type { ApprovalStatement, Assertion } from '@bailiwick/contracts'
import { jcs, jcsHash } from '@bailiwick/credentials'
import { errorCode } from '@bailiwick/errors'
import { sample, sampleAuthority } from '@bailiwick/standalone/sample'
import { softwarePasskey } from '@bailiwick/testkit'
import { bytesOf, Person } from './person.ts'
import { answered, eventually, Scene, unlikely } from './scene.ts'
import { Scheduler, scheduledBus } from './scheduler.ts'

/** What people and agents did, and the answers that they got, in order. */
interface Told {
  signed: { who: string; hash: string; statement: ApprovalStatement }[]
  /** The hash for which a person's approval was sent, and when. */
  sent: { who: string; hash: string; at: number }[]
  changed: { at: number }[]
  withdrawn: string[]
  cancelled: boolean
  denied: boolean
}

export type Outcome = 'granted' | 'refused' | 'not approved'

const rule = { type: 'rule', id: 'tasks' } as const
const patient = 60
/** Everything happens in the end; a delay on a busy machine proves nothing. */
const lateMs = 120_000
/** The number of denials in a row that an agent may get. At ten, all its requests would be paused and the story would end. */
const mostDenials = 8

/** One system, in which requests are made and answered one after the other while the registry changes. */
export class Interleavings implements AsyncDisposable {
  readonly #scene: Scene
  readonly #scheduler: Scheduler
  readonly #owner: Person
  readonly #anna: Person
  readonly #dice: { random: () => number }
  /** Denials of each agent since it last had an approval. */
  readonly #denials = new Map<string, number>()
  #serial = 0
  #clock = 0

  private constructor(
    scene: Scene,
    scheduler: Scheduler,
    people: { owner: Person; anna: Person },
    dice: { random: () => number },
  ) {
    this.#scene = scene
    this.#scheduler = scheduler
    this.#owner = people.owner
    this.#anna = people.anna
    this.#dice = dice
  }

  static async open(): Promise<Interleavings> {
    const scheduler = new Scheduler()
    const dice = { random: () => 1 }
    const breaks = () => {
      const thrown = dice.random()
      return thrown < 0.03 ? 'before' : thrown < 0.08 ? 'after' : undefined
    }
    const scene = await Scene.bare({ wrapBus: (bus) => scheduledBus(bus, scheduler, breaks) })
    const { system } = scene
    // As a synced passkey: two tabs of one person answer in any order.
    const synced = () => softwarePasskey({ rpId: 'localhost', origin: system.url }).raw({ signCount: 0 })
    const [owner, anna] = [new Person(system, synced()), new Person(system, synced())]
    await owner.enrol()
    const credentials = [await anna.newPasskey()]
    const told = new Interleavings(scene, scheduler, { owner, anna }, dice)
    const value = { id: 'anna', name: 'Anna', groups: [sample.group], credentials }
    if (!(await told.#change('approver', 'anna', value))) throw new Error('Anna was not enrolled')
    if ((await anna.signIn()).status !== 200) throw new Error('Anna cannot sign in')
    return told
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#scheduler.use(undefined)
    await this.#scene[Symbol.asyncDispose]()
  }

  /**
   * The auditor's findings about everything so far. It also reports that a thief used approval's key besides approval;
   * that is true and expected.
   */
  async findings() {
    return unlikely((await this.#scene.audited()).findings)
  }

  /** Plays one story, and returns what is wrong with how it ended. */
  async tell(random: () => number): Promise<{ outcome: Outcome; wrong: string[] }> {
    const told: Told = { signed: [], sent: [], changed: [], withdrawn: [], cancelled: false, denied: false }
    const agent = this.#scene.agent(random() < 0.5 ? 'reconciler' : 'forecaster')
    const deniable = (this.#denials.get(agent.id) ?? 0) < mostDenials
    // Each task has its own size, because a denied request is paused under any task name.
    const budget = { ...sampleAuthority.budget, calls: 100 + ++this.#serial }
    const authority = { ...sampleAuthority, task: `story-${this.#serial}`, budget }
    const signed = agent.signRequest({ authority, mode: 'window', expiresInSeconds: 3600 })
    const id = requestIdOf(signed.jws)
    this.#dice.random = random
    this.#scheduler.use(random)
    const idle = async (most: number) => {
      for (let turns = Math.floor(random() * most); turns > 0; turns--) await this.#scheduler.turn()
    }
    const asks = async () => {
      await answered(() => agent.request(signed))
      if (random() > 0.2) return
      await idle(60)
      told.cancelled = await agent.cancel(id).then(
        () => true,
        () => false,
      )
    }
    const again = random() < 0.3 ? agent.request(signed).catch(() => undefined) : undefined
    await Promise.all([
      asks(),
      again,
      this.#answers(this.#owner, 'owner', { id, told, random, idle, deniable }),
      random() < 0.7 ? this.#answers(this.#anna, 'anna', { id, told, random, idle, deniable }) : undefined,
      random() < 0.7 ? this.#changes(told, random, idle) : undefined,
    ])
    this.#dice.random = () => 1
    this.#scheduler.use(undefined)
    const judged = await this.#judged(id, told)
    await this.#clear(agent, id)
    return judged
  }

  async #answers(person: Person, who: string, { id, told, random, idle, deniable }: Story): Promise<void> {
    await idle(20)
    for (let tries = 0; tries < patient && !this.#scene.ledger.requests.requests.has(id); tries++)
      await new Promise((resolve) => setTimeout(resolve, 2))
    if (random() < 0.1 && deniable) {
      const { status } = await person.post(`requests/${id}/deny`)
      told.denied ||= status === 200
      return
    }
    for (let tries = 0; tries < 3; tries++) {
      const narrowed = random() < 0.3 ? { not_after: soon(random) } : {}
      const shown = await person.rendered(id, narrowed).catch(errorCodeOf)
      if (typeof shown === 'string') {
        await idle(10)
        continue
      }
      await idle(30)
      const { statement, statement_hash: hash, challenge } = shown
      const assertion = person.passkey.sign(bytesOf(challenge))
      told.signed.push({ who, hash, statement: statement as unknown as ApprovalStatement })
      if (random() < 0.12) await this.#steals(id, statement as unknown as ApprovalStatement, assertion)
      await idle(30)
      told.sent.push({ who, hash, at: ++this.#clock })
      const answer = { statement_hash: hash, assertion }
      const send = () => person.post(`requests/${id}/approve`, answer)
      // The answer is lost, or two tabs send it: the waiting person asks again.
      const answers = await Promise.all(random() < 0.3 ? [send(), send()] : [send()])
      if (answers.some(({ status }) => status === 200)) break
    }
    if (random() < 0.7) return
    await idle(40)
    const { status, body } = await person.post(`requests/${id}/withdraw`)
    if (status === 200) told.withdrawn.push((body as unknown as { grant_id: string }).grant_id)
  }

  /** A stolen approval service is faster than the honest one, and puts another statement over a genuine signature. */
  async #steals(id: string, statement: ApprovalStatement, assertion: Assertion): Promise<void> {
    const record = this.#scene.ledger.requests.requests.get(id)
    if (record?.state !== 'pending') return
    const altered = { ...statement, authority: { ...sampleAuthority, budget: { calls: 1 }, task: 'stolen' } }
    const data = { request_id: id, statement: altered, statement_hash: statementHash(altered), assertions: [assertion] }
    const forged = { type: 'request.approved', subject: id, version: record.version + 1, data }
    await this.#scene.forge('approvals.v1', forged, this.#scene.stolenKey('approval')).catch(() => undefined) // the thief's bus breaks too
  }

  /** The quorum, the group or a tool's manifest changes meanwhile; the owner approves. */
  async #changes(told: Told, random: () => number, idle: Story['idle']): Promise<void> {
    const { registry } = this.#scene.ledger
    await idle(40)
    const which = random()
    const tasks = registry.get('rule', 'tasks')
    const anna = registry.get('approver', 'anna')
    const server = registry.get('tool-server', sample.toolServer)
    if (!tasks || !anna || !server) throw new Error('the registry lost something')
    const out = anna.groups.includes('guests')
    const { quorum } = tasks.approvers
    const tools = { ...server.tools, [`extra_${this.#serial}`]: { labels: [] } }
    for (const name of Object.keys(tools)
      .filter((each) => each.startsWith('extra_'))
      .slice(0, -2))
      delete tools[name]
    const done =
      which < 0.4
        ? await this.#change(rule.type, rule.id, { ...tasks, approvers: { ...tasks.approvers, quorum: 3 - quorum } })
        : which < 0.8
          ? await this.#change('approver', 'anna', { ...anna, groups: out ? [sample.group] : ['guests'] })
          : await this.#change('tool-server', server.id, { ...server, tools, manifest: jcsHash(tools) })
    if (done) told.changed.push({ at: ++this.#clock })
  }

  /** The change is proposed, signed by the owner and applied: every reader in this process knows of it. */
  async #change(type: string, id: string, value: object): Promise<boolean> {
    const payload = { proposer: 'operator', entities: [{ type, id, value }] }
    const { operator } = this.#scene.system.host
    const proposed = await operator.inject({ method: 'POST', url: '/operator/registry/changes', payload })
    const { request_id: change } = proposed.json() as { request_id?: string | null }
    if (typeof change !== 'string') return false
    for (let tries = 0; tries < 3; tries++) {
      const shown = await this.#owner.rendered(change).catch(errorCodeOf)
      if (typeof shown === 'string') continue
      const { body } = await this.#owner.approve(change, shown)
      if ((body as { applied?: boolean }).applied) return true
    }
    await this.#owner.post(`requests/${change}/deny`)
    return false
  }

  async #judged(id: string, told: Told): Promise<{ outcome: Outcome; wrong: string[] }> {
    const { ledger } = this.#scene
    const wrong: string[] = []
    const record = ledger.requests.requests.get(id)
    if (record?.state === 'approved') {
      const grantId = grantIdOf(record.approved?.statement_hash ?? '')
      const acted = () =>
        ledger.grants.trees.has(grantId) ||
        ledger.grants.refused.has(grantId) ||
        ledger.requests.requests.get(id)?.state !== 'approved' ||
        undefined
      await eventually(`the issuer acts on ${id}`, acted, lateMs).catch((error) => wrong.push(String(error)))
    }
    const trees = [...ledger.grants.trees.values()].filter(({ grant }) => grant.request_id === id)
    if (trees.length > 1) wrong.push(`${trees.length} grants of one request`)
    for (const tree of trees) wrong.push(...this.#faultsOf(tree.grant, told))
    for (const grantId of told.withdrawn)
      await eventually('what was withdrawn is revoked', () => ledger.revocations.find('grant', grantId), lateMs).catch(
        (error) => wrong.push(String(error)),
      )
    if (told.denied && trees.length > 0) wrong.push('denied, and granted')
    const [tree] = trees
    if (told.cancelled && tree)
      await eventually(
        'what its agent cancelled is revoked',
        () => ledger.revocations.find('grant', tree.id),
        lateMs,
      ).catch((error) => wrong.push(String(error)))
    return { outcome: trees.length > 0 ? 'granted' : record?.approved ? 'refused' : 'not approved', wrong }
  }

  /** Everything that is wrong with a grant, compared with what people signed and which answers they got. */
  #faultsOf(grant: Granted, { signed, sent, changed }: Told): string[] {
    const wrong: string[] = []
    const mine = signed.filter(({ hash }) => grantIdOf(hash) === grant.id)
    const [first] = mine
    if (!first) return ['granted with another hash than anybody signed']
    const { statement, hash } = first
    if (jcs(grant.authority) !== jcs(statement.authority)) wrong.push('another authority than was signed')
    if (grant.not_after !== statement.not_after || grant.mode !== statement.mode)
      wrong.push('another window than signed')
    const people = new Set(mine.map(({ who }) => who))
    if (people.size < statement.rule.quorum) wrong.push(`${people.size} signed, of ${statement.rule.quorum}`)
    // The earliest moment at which enough approvers had sent their signature.
    const whenSent = [...people]
      .map((who) => sent.find((each) => each.who === who && each.hash === hash)?.at ?? 0)
      .sort((a, b) => a - b)
    const enough = whenSent[statement.rule.quorum - 1] ?? 0
    const { registry } = this.#scene.ledger
    const { approvers: now } = registry.get('rule', 'tasks') ?? {}
    const same =
      now?.quorum === statement.rule.quorum &&
      groupHash(sample.group, registry.approvers.values()) === statement.rule.group_hash &&
      registry.get('tool-server', sample.toolServer)?.manifest === statement.manifests[sample.toolServer]
    if (!same && changed.some(({ at }) => at < enough)) wrong.push('judged by a rule, group or manifest that was gone')
    return wrong
  }

  /**
   * Leaves nothing waiting for the next story. The agent withdraws what was not answered, and what was approved in vain
   * and is asked again after its refusal. If a person denied each of them, there would soon be ten denials in a row.
   * The list comes from approval itself, which counts the waiting requests.
   */
  async #clear(agent: Agent, id: string): Promise<void> {
    const { status } = await answered(() => agent.status(id))
    if (status === 'pending') await answered(() => agent.cancel(id))
    else if (status === 'denied') this.#denials.set(agent.id, (this.#denials.get(agent.id) ?? 0) + 1)
    else if (status === 'approved') this.#denials.delete(agent.id)
  }
}

interface Story {
  id: string
  told: Told
  random: () => number
  /** Lets other work go first, up to this many times. */
  idle: (most: number) => Promise<void>
  /** Whether one more denial is not the tenth in a row. */
  deniable: boolean
}
type Granted = Pick<ApprovalStatement, 'authority' | 'not_after' | 'mode'> & { id: string }

const soon = (random: () => number) => new Date(Date.now() + 600_000 + Math.floor(random() * 600_000)).toISOString()
const errorCodeOf = (error: unknown): string => (error instanceof Error ? error.message : errorCode(error))
