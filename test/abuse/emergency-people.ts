import { type Agent, createAgent, type SignedRequest } from '@bailiwick/agent'
import type { EntityType } from '@bailiwick/contracts'
import { generateKey, type SigningKey } from '@bailiwick/credentials'
import { sample } from '@bailiwick/standalone/sample'
import type { SystemOptions } from '@bailiwick/testkit'
import { Person, type Shown } from './person.ts'
import { Scene } from './scene.ts'

export const emergencyId = (person: string) => `spiffe://bailiwick.local/emergency/${person}`
const tool = (name: string) => ({ type: 'tool', id: `${sample.toolServer}/${name}` })

/** The most that the rule for emergencies allows. */
export const ceiling = {
  permissions: [
    { actions: ['tools/call'], resource: tool('read') },
    {
      actions: ['tools/call'],
      resource: tool('adjust'),
      where: { '/amount': { max: '500' }, '/currency': { in: ['EUR'] } },
      cost: { amount: '/amount', currency: '/currency' },
    },
  ],
  budget: { calls: 20, cost: { EUR: '600' } },
}
export const repair = { type: 'bailiwick_task', task: 'repair-the-ledger', ...ceiling }

export interface Change {
  type: EntityType
  id: string
  value: object | null
}

export const emergencyRule = (over: object = {}): Change => ({
  type: 'rule',
  id: 'break-glass',
  value: {
    id: 'break-glass',
    order: 1,
    match: {},
    approvers: { group: 'break_glass', quorum: 2 },
    owner_may_approve: true,
    modes: ['window'],
    max_window_seconds: 900,
    narrowing: true,
    emergency: ceiling,
    ...over,
  },
})

export const emergencyIdentity = (owner: string, name = owner): Change => ({
  type: 'agent',
  id: emergencyId(name),
  value: {
    id: emergencyId(name),
    name: `Emergency of ${owner}`,
    owner,
    attestor: { kind: 'emergency' },
    labels: ['emergency'],
    proactive_requests: true,
  },
})

/** A person at a keyboard with a key that was made a moment ago. */
export interface Operator extends Pick<Agent, 'signRequest'> {
  agent: Agent
  key: SigningKey<'agent'>
}

/** An installation of three people, in which two of them may open emergencies, and ordinary approval has no approver. */
export class Emergency implements AsyncDisposable {
  readonly scene: Scene
  readonly owner: Person
  readonly anna: Person
  readonly carl: Person

  private constructor(scene: Scene, people: { owner: Person; anna: Person; carl: Person }) {
    this.scene = scene
    this.owner = people.owner
    this.anna = people.anna
    this.carl = people.carl
  }

  static async open(options: Pick<SystemOptions, 'clock' | 'onFatal'> = {}): Promise<Emergency> {
    const scene = await Scene.bare({ singleOperator: false, ...options })
    const [owner, anna, carl] = [new Person(scene.system), new Person(scene.system), new Person(scene.system)]
    const made = new Emergency(scene, { owner, anna, carl })
    await owner.enrol()
    const person = async (id: string, by: Person, groups: string[]): Promise<Change> => {
      const known = scene.ledger.registry.get('approver', id)
      const credentials = known?.credentials ?? [await by.newPasskey()]
      return { type: 'approver', id, value: { id, name: id, groups, credentials } }
    }
    const both = [owner, anna]
    await made.change([owner], await person('anna', anna, [sample.group]))
    await anna.signIn()
    await made.change(both, await person('carl', carl, ['break_glass']))
    await carl.signIn()
    await made.change(
      both,
      await person('owner', owner, [sample.group, 'break_glass']),
      await person('anna', anna, [sample.group, 'break_glass']),
    )
    await made.change(both, emergencyRule(), ...['owner', 'anna', 'carl'].map((name) => emergencyIdentity(name)))
    // The people who would approve what agents ask are on holiday.
    const tasks = scene.ledger.registry.get('rule', 'tasks')
    const approvers = { group: 'on_holiday', quorum: 1 }
    await made.change(both, { type: 'rule', id: 'tasks', value: { ...tasks, approvers } })
    return made
  }

  async propose(...entities: Change[]): Promise<{ request_id?: string; code?: string; detail?: string }> {
    return (await this.scene.operate<object>('registry/changes', { proposer: 'operator', entities })).body
  }

  /** Proposes a change, and has these people sign it one after the other. Throws if it does not become true. */
  async change(by: readonly Person[], ...entities: Change[]): Promise<void> {
    const { request_id = '', code } = await this.propose(...entities)
    if (code !== undefined) throw new Error(code)
    let last: object = {}
    for (const person of by) {
      last = (await person.approve(request_id, await person.rendered(request_id))).body
      await this.scene.readToEnds()
    }
    if (!('applied' in last && last.applied)) throw new Error(`not changed: ${JSON.stringify(last)}`)
  }

  operator(person: string, key = generateKey('agent')): Operator {
    const { clock, random, trust, url } = this.scene.system
    const agent = createAgent({
      agentId: emergencyId(person),
      instance: key.kid,
      key,
      installation: trust.installation,
      baseUrl: url,
      now: () => clock.now(),
      random,
    })
    return { agent, key, signRequest: (ask) => agent.signRequest(ask) }
  }

  signed(operator: Operator, over: object = {}): SignedRequest {
    const ask = { authority: repair, mode: 'window' as const, expiresInSeconds: 900, purpose: 'The ledger is wrong.' }
    return operator.signRequest({ ...ask, ...over })
  }

  /** Opens it at the console, signed in as this person. Returns the request's id, or the code of the refusal. */
  async opened(by: Person, operator: Operator, over: object = {}): Promise<string> {
    const { jws, purpose } = this.signed(operator, over)
    const said = await by.post('emergencies', { request: jws, jwk: operator.key.publicJwk, purpose })
    await this.scene.readToEnds()
    return (said.body as { request_id?: string }).request_id ?? said.code ?? ''
  }

  /** Has one person sign what is shown. Returns the grant's state, `endorsed`, or the code of the refusal. */
  async signs(person: Person, requestId: string): Promise<{ said: string; shown?: Shown; grantId?: string }> {
    const shown = await person.rendered(requestId).catch((error: Error) => error.message)
    if (typeof shown === 'string') return { said: shown }
    const { status, code, body } = await person.approve(requestId, shown)
    await this.scene.readToEnds()
    if (status !== 200) return { said: code ?? '', shown }
    const answer = body as { status?: string; grant?: string; grant_id?: string }
    return {
      said: answer.grant ?? answer.status ?? '',
      shown,
      ...(answer.grant_id === undefined ? {} : { grantId: answer.grant_id }),
    }
  }

  /** Anna's emergency, opened by her and signed by her and by the owner. */
  async granted(over: object = {}): Promise<{ operator: Operator; requestId: string; grantId: string; shown: Shown }> {
    const operator = this.operator('anna')
    const requestId = await this.opened(this.anna, operator, over)
    await this.signs(this.anna, requestId)
    const { said, shown, grantId } = await this.signs(this.owner, requestId)
    if (grantId === undefined || shown === undefined) throw new Error(`no grant: ${requestId} ${said}`)
    return { operator, requestId, grantId, shown }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.scene[Symbol.asyncDispose]()
  }
}
