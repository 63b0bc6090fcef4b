import type { AdvanceOutcome, Settlement, Take, TreeState } from '@bailiwick/grant-store'
import type { Draft } from '@bailiwick/instance'
import { change, type DecisionFacts, DecisionState, emptySpend, type TreeSpend } from '@bailiwick/projection'
import { now, spell } from '../steps/living-call.fixture.ts'
import type { Work } from './tree-queue.ts'

type Drafted = Draft<'decisions.v1'> & { id: string; key: string; version: number }

export const reservedOf = { calls: 1, egress_bytes: 0, cost: { EUR: '2.5' } }

export interface Numbers {
  has(instance: string, number: number): boolean
  add(instance: string, number: number, at: number): void
}

/** The log and the grant store that order the events of one tree. Each test says how they answer. */
export function treeOrder() {
  const trees = new Map<string, TreeSpend>()
  /** Each durable write, with its events in order. */
  const writes: Drafted[][] = []
  /** The logged messages and their fields. */
  const told: [what: string, about: object][] = []
  const store = {
    advances: [] as Take[],
    refills: [] as TreeState[],
    resets: [] as TreeState[],
    settled: [] as Settlement[],
    /** How the store answers next. Without an entry it takes. */
    answers: [] as (AdvanceOutcome | Error)[],
    resetFails: false,
    /** Simulates events elsewhere while the store is asked. Runs once. */
    during: undefined as (() => void) | undefined,
  }
  const grant = {
    id: 'grt_1',
    not_after: spell(now + 60_000),
    mode: 'window',
    authority: {
      type: 'bailiwick_task',
      task: 't',
      permissions: [{ actions: ['tools/call'], resource: { type: 'tool', id: 'erp/read' }, max_uses: 5 }],
      budget: { calls: 9, cost: { EUR: '100' } },
    },
  }
  const order = {
    now,
    /** How many events of the next writes are void because other instances were first. */
    overtaken: 0,
    /** Decisions whose next event is void, for any reason. */
    voids: new Set<string>(),
    /** Runs before a write is durable. */
    before: async (): Promise<unknown> => undefined,
    readopted: 0,
    waits: [] as number[],
    events: 0,
  }
  const outcomeNumbers: Numbers = new DecisionState({ base: false }).outcomeNumbers
  function fold(draft: Drafted): 'counts' | 'void' {
    const spend = trees.get(draft.key) ?? emptySpend()
    trees.set(draft.key, spend)
    if (order.overtaken > 0) {
      order.overtaken--
      spend.version++
      spend.head = 'evt_others'
      return 'void'
    }
    if (order.voids.delete(draft.subject ?? '')) return 'void'
    const { after = '' } = draft.data as { after?: string }
    if (draft.version !== spend.version + 1 || after !== spend.head) return 'void'
    const { type, data } = draft
    if (!change(spend, { type, data, time: spell(order.now) } as DecisionFacts)) return 'void'
    Object.assign(spend, { version: draft.version, head: draft.id })
    return 'counts'
  }
  const pdp = {
    trust: { installation: 'ins_00000000000001' },
    clock: { now: () => order.now },
    newEventId: () => `evt_${++order.events}`,
    record: async (drafts: Drafted[]) => {
      writes.push(drafts)
      await order.before()
      return drafts.map((draft) => ({ verdict: fold(draft) }))
    },
    logger: {
      error: (about: object, what: string) => told.push([what, about]),
      warn: (about: object, what: string) => told.push([what, about]),
    },
    proofs: { readopt: async () => void order.readopted++ },
    grantStore: {
      advance: async (_: string, take: Take) => {
        store.advances.push(take)
        store.during?.()
        store.during = undefined
        const answer = store.answers.shift() ?? { outcome: 'advanced' }
        if (answer instanceof Error) throw answer
        return answer
      },
      refill: async (_: string, state: TreeState) => store.refills.push(state),
      reset: async (_: string, state: TreeState) => {
        if (store.resetFails) throw new Error('away')
        store.resets.push(state)
      },
      settle: async (_: string, settled: Settlement) => store.settled.push(settled),
    },
    projection: {
      until: async (find: () => unknown, ms: number) => {
        order.waits.push(ms)
        return find()
      },
      ledger: {
        grants: { trees: new Map([['grt_1', { grant }]]) },
        decisions: {
          trees,
          outcomeNumbers,
          rootOf: (id: string) => [...trees.keys()].find((root) => trees.get(root)?.allows.has(id)),
          overdue: (at: number) =>
            [...trees].flatMap(([root, { allows }]) =>
              [...allows.values()].filter(({ outcomeDue }) => outcomeDue <= at).map((record) => ({ root, record })),
            ),
        },
      },
    },
  }
  return { pdp: pdp as never, numbers: outcomeNumbers, order, trees, writes, told, store, grant }
}

export function allowedDraft(id: string, more: object = {}): Draft<'decisions.v1'> {
  const action = { name: 'tools/call', resource: { type: 'tool', id: 'erp/read' }, action_digest: 'digest' }
  return {
    type: 'decision.allowed',
    subject: id,
    data: {
      decision_id: id,
      call_id: `call_${id}`,
      enforcement_point: 'https://pep.example/',
      actor: { agent: 'spiffe://example.org/agent/a', grant_id: 'grt_1', task: 't' },
      action,
      permission: 0,
      reserved: reservedOf,
      labels: ['l'],
      outcome_due: spell(now + 1000),
      ...more,
    },
  } as never
}

/** An ALLOW to be placed in the order, and its result. */
export function anAllow(id: string, more: Partial<Work> & { data?: object } = {}) {
  const heard: unknown[] = []
  const { data, ...over } = more
  const work: Work = {
    plan(view) {
      heard.push(view.version)
      const amounts = { calls: 1n, 'cost:EUR': 2_500_000n, 'uses:0': 1n }
      return { draft: allowedDraft(id, data), take: { takeId: id, amounts, labels: ['l'] } }
    },
    recorded: () => heard.push('recorded'),
    refused: (reason) => heard.push(reason),
    unsure: (error) => heard.push(error),
    ...over,
  }
  return { work, heard }
}
