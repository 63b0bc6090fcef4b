import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { logger, metrics } from '@bailiwick/host'
import { paths, policySetOf, readPolicyFiles, storePolicyFiles } from '@bailiwick/installation'
import type { Draft } from '@bailiwick/instance'
import type { PolicyRequest } from '@bailiwick/policy'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { PolicyQuestion } from './policy-question.ts'
import { Shadow, type ShadowOptions } from './shadow.ts'

const source = readPolicyFiles(join(import.meta.dirname, '../../../../policies'))
const candidateFiles = new Map([
  ...source,
  ['mine.cedar', Buffer.from('@id("never") forbid (principal, action, resource) when { context.time.hour > 3 };')],
])
const candidate = policySetOf(candidateFiles).hash

let data: string
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'shadow-test-'))
})
afterEach(() => rmSync(data, { recursive: true, force: true }))

const request = (history: unknown): PolicyRequest => ({
  principal: { type: 'agent', id: 'a', attributes: { instance: 'i', owner: 'o', labels: [] } },
  action: 'GET',
  resource: { type: 'api', id: 'x', attributes: { labels: [], server: '' } },
  context: {
    grant: { id: 'g', task: 't', mode: 'window', approvers: 1, seconds_left: 60 },
    proof: 'agent_signed',
    time: { hour: 12, weekday: 1 },
    history,
  },
})
const nothing = Object.fromEntries(
  ['destructive', 'external_send', 'reads_private', 'reads_untrusted', 'unlabelled', 'writes'].map((label) => [
    label,
    0,
  ]),
)
const money = { EUR: '0.0', USD: '0.0' }
const spent = { ...money, destructive: money, external_send: money, unlabelled: money, writes: money }
const ofOwner = { labels: [], calls: 0, count: nothing, spent, last: {}, depth: 0 }
const history = { ...ofOwner, denials: 0 }
const histories = { task: history, agent: history, owner: ofOwner }
const asked: PolicyQuestion = {
  policySet: policySetOf(source).hash,
  action: 'GET',
  outcome: 'allow',
  requests: () => [request(histories)],
}

async function open(more: Partial<ShadowOptions> = {}) {
  const drafts: Draft<'decisions.v1'>[] = []
  const counters = metrics({ service: 'test', processMetrics: false })
  const shadow = new Shadow({
    data,
    record: async (each) => {
      drafts.push(...each)
      return []
    },
    metrics: counters,
    logger: logger({ service: 'test', level: 'silent' }),
    everyMs: 20,
    ...more,
  })
  const answers = () => drafts.flatMap((draft) => (draft.type === 'candidate.answered' ? draft.data.answers : []))
  return { shadow, drafts, answers, counters, [Symbol.asyncDispose]: () => shadow[Symbol.asyncDispose]() }
}

async function until(check: () => boolean): Promise<void> {
  while (!check()) await new Promise((resolve) => setTimeout(resolve, 10))
}

async function running(more: Partial<ShadowOptions> = {}) {
  storePolicyFiles(paths(data).candidate, candidateFiles)
  const opened = await open(more)
  await until(() => opened.shadow.candidate === candidate)
  return opened
}
const dec = (n: number) => `dec_${String(n).padStart(20, '0')}`

it('asks nothing where there is no candidate, or the candidate is the active set', async () => {
  await using alone = await open()
  expect(alone.shadow.prepare(asked)).toBeUndefined()
  alone.shadow.ask(dec(1), undefined)
  await using beside = await running()
  expect(beside.shadow.prepare({ ...asked, policySet: candidate })).toBeUndefined()
  expect(beside.shadow.prepare(undefined)).toBeUndefined()
  expect([...alone.drafts, ...beside.drafts]).toEqual([])
})

it('puts what both said into one event for many decisions, none of them twice', async () => {
  await using beside = await running()
  for (let n = 0; n < 100; n++) beside.shadow.ask(dec(n), beside.shadow.prepare(asked))
  await until(() => beside.answers().length >= 100)
  expect(new Set(beside.answers().map(({ decision_id }) => decision_id)).size).toBe(100)
  expect(beside.drafts.length).toBeLessThan(20)
  expect(beside.drafts[0]).toMatchObject({
    type: 'candidate.answered',
    subject: `policy-set ${candidate}`,
    data: { candidate },
  })
  expect(beside.answers()[0]).toEqual({
    decision_id: dec(0),
    policy_set: asked.policySet,
    active: 'allow',
    candidate: 'deny',
    policies: ['never'],
  })
  expect(await beside.counters.text()).toContain(
    'bailiwick_candidate_answers_total{active="allow",candidate="deny",service="test"} 100',
  )
})

it('never throws into a decision, even if its own question fails (V13)', async () => {
  await using beside = await running()
  const requests = () => {
    throw new Error('no history of this kind')
  }
  expect(beside.shadow.prepare({ ...asked, requests })).toBeUndefined()
  // A request that cannot be handed over to a thread, and a candidate that is no longer asked.
  const unsendable = [request({ task: () => undefined })]
  const prepared = { candidate, policySet: asked.policySet, active: 'allow' as const, requests: unsendable }
  beside.shadow.ask(dec(1), prepared)
  beside.shadow.ask(dec(2), { ...prepared, candidate: 'A'.repeat(43) })
  await until(() => beside.answers().length === 2)
  expect(beside.answers().map(({ candidate: said }) => said)).toEqual(['unanswered', 'unanswered'])
})

it('looks up so many facts for a question and no more, however long the chain is (V18)', async () => {
  await using beside = await running({ limits: { mostFacts: 300 } })
  let asks = 0
  const of = (agents: number): PolicyQuestion => ({
    ...asked,
    *requests(wanted) {
      expect(wanted).toBeDefined()
      for (let n = 0; n < agents; n++) {
        asks++
        yield request(histories)
      }
    },
  })
  beside.shadow.ask(dec(1), beside.shadow.prepare(of(1)))
  expect(asks).toBe(1)
  beside.shadow.ask(dec(2), beside.shadow.prepare(of(100_000)))
  expect(asks).toBeLessThanOrEqual(1 + 301)
  await until(() => beside.answers().length === 2)
  expect(beside.answers().map(({ candidate: said }) => said)).toEqual(expect.arrayContaining(['deny', 'unanswered']))
})

it('tells what waits for a candidate that ended, and begins one anew whose files changed', async () => {
  await using beside = await running({ limits: { answerMs: 60_000 } })
  for (let n = 0; n < 50; n++) beside.shadow.ask(dec(n), beside.shadow.prepare(asked))
  rmSync(paths(data).candidate, { recursive: true })
  await until(() => beside.shadow.candidate === undefined)
  await until(() => beside.answers().length === 50)
  storePolicyFiles(paths(data).candidate, candidateFiles)
  await until(() => beside.shadow.candidate === candidate)
})

it('leaves one alone that ended by itself, until its files change', async () => {
  storePolicyFiles(paths(data).candidate, new Map([...source, ['mine.cedar', Buffer.from('permit (principal,')]]))
  const ends: unknown[] = []
  const silent = logger({ service: 'test', level: 'silent' })
  const told = Object.assign(Object.create(silent), { warn: (fields: unknown) => ends.push(fields) })
  await using beside = await open({ logger: told })
  await until(() => ends.length > 0)
  await new Promise((resolve) => setTimeout(resolve, 200))
  expect(ends).toHaveLength(1)
  expect(ends).toMatchObject([{ why: expect.stringContaining('mine.cedar') }])
  storePolicyFiles(paths(data).candidate, candidateFiles)
  await until(() => beside.shadow.candidate === candidate)
})
