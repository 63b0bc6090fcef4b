import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DecodedEvent } from '@bailiwick/contracts'
import { exampleEvent } from '@bailiwick/contracts/examples'
import { readPolicyFiles } from '@bailiwick/installation'
import { cedarEngine, historyIn, shapesOf } from '@bailiwick/policy'
import { DecisionState, emptySpend } from '@bailiwick/projection'
import { describe, expect, it } from 'vitest'
import { historyOf } from '../state/history.ts'

const directory = join(import.meta.dirname, '../../../../policies')
const engine = cedarEngine(readPolicyFiles(directory))
const schema = readFileSync(join(directory, 'schema.cedarschema'), 'utf8')
const shape = historyIn(shapesOf(schema).context({ type: 'Action', id: 'tools/call' }))

const now = Date.parse('2026-07-01T12:00:00.000Z')
const labels = ['reads_private', 'reads_untrusted', 'external_send'] as const
const orders = labels.flatMap((first) =>
  labels
    .filter((each) => each !== first)
    .map((second) => [first, second, ...labels.filter((each) => each !== first && each !== second)]),
)

/** The acting agent: its grant, and the sub-agents in between. */
interface Actor {
  tree: string
  /** From the grant's agent down to the acting agent. */
  agents: readonly [string, ...string[]]
}

/** All agents have the same owner, except these. */
const ownerOf = (name: string) => (name.startsWith('their') ? 'otto' : 'olga')

const inOne: Actor = { tree: 'one', agents: ['a'] }
const splits: Record<string, readonly Actor[]> = {
  'one agent': [inOne, inOne, inOne],
  siblings: ['b', 'c', 'd'].map((sub) => ({ tree: 'one', agents: ['a', sub] })),
  'sub-agents of sub-agents': [{ tree: 'one', agents: ['a', 'b', 'c'] }, inOne, { tree: 'one', agents: ['a', 'b'] }],
  'tasks of one agent': ['one', 'two', 'three'].map((tree) => ({ tree, agents: ['a'] })),
  'sub-agents of two tasks': [
    { tree: 'one', agents: ['a', 'b'] },
    { tree: 'two', agents: ['a', 'c'] },
    { tree: 'one', agents: ['a', 'd'] },
  ],
  'two agents of one owner, each under its own grant': [inOne, { tree: 'two', agents: ['b'] }, inOne],
  'two agents of one owner, the second twice': [inOne, { tree: 'two', agents: ['b'] }, { tree: 'two', agents: ['b'] }],
  'three agents of one owner': ['a', 'b', 'c'].map((name) => ({ tree: name, agents: [name] })),
  'another agent of the owner, and a delegation made to it before or after': [
    { tree: 'one', agents: ['a', 'b'] },
    { tree: 'two', agents: ['c'] },
    { tree: 'three', agents: ['d', 'b'] },
  ],
  'an agent of another owner, which acts for one of this owner': [
    { tree: 'one', agents: ['a', 'theirs'] },
    { tree: 'two', agents: ['b'] },
    { tree: 'one', agents: ['a', 'theirs'] },
  ],
  'an agent of this owner, which acts for one of another': [
    { tree: 'one', agents: ['theirs', 'a'] },
    { tree: 'two', agents: ['b'] },
    { tree: 'three', agents: ['c'] },
  ],
  'a sub-agent that has its own task later': [
    { tree: 'one', agents: ['a', 'b'] },
    { tree: 'one', agents: ['a', 'b'] },
    { tree: 'two', agents: ['b'] },
  ],
}
const instance = (name: string) => `spiffe://example.org/agent/${name}/i1`
const agent = (name: string) => `spiffe://example.org/agent/${name}`

/** One decision point that knows only the part of the log that it was given to read. */
class Instance {
  readonly state = new DecisionState({ base: false })
  #read = 0

  /** A decision does this first, since the starter policies read the agent's history. */
  readToEnd(log: readonly DecodedEvent<'decisions.v1'>[]): void {
    for (const event of log.slice(this.#read)) expect(this.state.apply(event)).toBe('counts')
    this.#read = log.length
  }

  decide({ tree, agents }: Actor, label: string): string {
    const spend = this.state.trees.get(tree) ?? emptySpend()
    const outcomes = agents.map((name) => {
      const question = { decisions: this.state, root: tree, tree: spend, depth: agents.length - 1, now }
      return engine.evaluate({
        principal: {
          type: 'agent',
          id: agent(name),
          attributes: { instance: instance(name), owner: ownerOf(name), labels: [] },
        },
        action: 'tools/call',
        resource: { type: 'tool', id: `t/${label}`, attributes: { labels: [label], server: 't' } },
        context: {
          grant: { id: tree, task: 'task', mode: 'window', approvers: 1, seconds_left: 60 },
          proof: 'agent_signed',
          time: { hour: 12, weekday: 2 },
          history: historyOf(shape, { ...question, agent: agent(name), owner: ownerOf(name) }),
        },
      }).outcome
    })
    return outcomes.find((outcome) => outcome !== 'allow') ?? 'allow'
  }
}

function allowed({ tree, agents }: Actor, label: string, n: number, log: readonly DecodedEvent<'decisions.v1'>[]) {
  const before = log.filter(({ partitionkey }) => partitionkey === tree)
  const example = exampleEvent('decisions.v1', 'decision.allowed') as DecodedEvent<'decisions.v1'> & { data: object }
  const [root, ...below] = agents
  const after = before.at(-1)?.id
  return {
    ...example,
    id: `evt_${String(n).padStart(20, '0')}`,
    time: new Date(now - 1000).toISOString(),
    partitionkey: tree,
    version: before.length + 1,
    data: {
      ...example.data,
      decision_id: `dec_${String(n).padStart(20, '0')}`,
      call_id: `call-${String(n).padStart(16, '0')}`,
      proof_id: String(n).padStart(43, 'p'),
      actor: { agent: instance(root), grant_id: tree },
      labels: [label],
      owners: [...new Set(agents.map(ownerOf))],
      chain: below.map((name, k) => ({ delegation_id: `dlg_${k}`, agent: instance(name), permission: 0 })),
      step_up: undefined,
      after,
    },
  } as unknown as DecodedEvent<'decisions.v1'>
}

describe('the lethal trifecta in all six orders, each step by another of two instances', () => {
  it.each(Object.entries(splits))(
    '%s: the third step is refused if it sends, and sending is over (V8)',
    (_, actors) => {
      for (const order of orders) {
        const log: DecodedEvent<'decisions.v1'>[] = []
        const instances = [new Instance(), new Instance()]
        const step = (n: number, actor: Actor, label: string) => {
          const deciding = instances[n % 2] as Instance
          deciding.readToEnd(log)
          const outcome = deciding.decide(actor, label)
          if (outcome === 'allow') log.push(allowed(actor, label, n, log))
          return outcome
        }
        const outcomes = order.map((label, n) => step(n, actors[n] as Actor, label))
        expect(outcomes, order.join()).toEqual(['allow', 'allow', order[2] === 'external_send' ? 'deny' : 'allow'])
        // Denied for the agent that took part in all of it. An agent that worked elsewhere meanwhile is not blamed.
        expect(step(3, actors[2] as Actor, 'external_send')).toBe('deny')
        // An instance that starts now reads the same history.
        const fresh = new Instance()
        fresh.readToEnd(log)
        expect(fresh.decide(actors[2] as Actor, 'external_send')).toBe('deny')
      }
    },
  )

  it('an agent of another owner, under its own grant, sends all the same: nothing of it is known to have met', () => {
    const log: DecodedEvent<'decisions.v1'>[] = []
    const instance = new Instance()
    for (const [n, label] of ['reads_private', 'reads_untrusted'].entries()) log.push(allowed(inOne, label, n, log))
    instance.readToEnd(log)
    expect(instance.decide({ tree: 'two', agents: ['theirs'] }, 'external_send')).toBe('allow')
    expect(instance.decide({ tree: 'two', agents: ['theirs', 'b'] }, 'external_send')).toBe('deny')
  })

  it('an ALLOW from before owners were named counts for its agents, and for no owner', () => {
    const log: DecodedEvent<'decisions.v1'>[] = []
    for (const [n, label] of ['reads_private', 'reads_untrusted'].entries()) {
      const { data, ...event } = allowed(inOne, label, n, log)
      log.push({ ...event, data: { ...data, owners: undefined } } as unknown as DecodedEvent<'decisions.v1'>)
    }
    const instance = new Instance()
    instance.readToEnd(log)
    expect(instance.decide({ tree: 'two', agents: ['a'] }, 'external_send')).toBe('deny')
    expect(instance.decide({ tree: 'two', agents: ['b'] }, 'external_send')).toBe('allow')
  })
})
