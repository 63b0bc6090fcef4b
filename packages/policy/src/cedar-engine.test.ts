import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { PolicyFiles } from '@bailiwick/installation'
import { describe, expect, it } from 'vitest'
import { askCedar } from './ask-cedar.ts'
import { cedarEngine, engineOf as plainEngineOf } from './cedar-engine.ts'
import { strictWatch } from './compiled/compiled.fixture.ts'
import type { PolicyRequest } from './policy-engine.ts'
import { loadPolicySet } from './policy-set.ts'
import { shapesOf } from './schema-shapes.ts'

const policies = join(import.meta.dirname, '../../../policies')
const schema = readFileSync(join(policies, 'schema.cedarschema'))
const starter = readFileSync(join(policies, 'starter.cedar'))
const filesOf = (files: Record<string, string | Uint8Array>): PolicyFiles =>
  new Map(Object.entries(files).map(([name, text]) => [name, typeof text === 'string' ? Buffer.from(text) : text]))
/** Both engines answer, and must agree. */
const engineOf = (text: string) =>
  cedarEngine(filesOf({ 'schema.cedarschema': schema, 'test.cedar': text }), strictWatch())

interface Situation {
  labels?: string[]
  mode?: string
  touched?: string[]
  /** Labels of calls by agents of the same owner. */
  others?: string[]
  action?: string
}

const none = (names: string[], value: unknown) => Object.fromEntries(names.map((name) => [name, value]))
/** What was done, as the schema declares it. */
const did = (labels: string[]) => {
  const money = none(['EUR', 'USD'], '0.0')
  const spenders = ['destructive', 'external_send', 'unlabelled', 'writes']
  const count = none([...spenders, 'reads_private', 'reads_untrusted'], 0)
  const spent = { ...money, ...none(spenders, money) }
  return { labels, calls: labels.length, count, spent, last: {}, denials: 0, depth: 0 }
}

const ofOwner = ({ denials: _, ...facts }: ReturnType<typeof did>) => facts

function asked({
  labels = [],
  mode = 'window',
  touched = [],
  others = [],
  action = 'tools/call',
}: Situation = {}): PolicyRequest {
  return {
    principal: { type: 'agent', id: 'spiffe://d/agent/a', attributes: { instance: 'i', owner: 'owner', labels: [] } },
    action,
    resource: { type: 'tool', id: 'invoices/read', attributes: { labels, server: 'invoices' } },
    context: {
      grant: { id: 'grt_1', task: 'task', mode, approvers: 1, seconds_left: 60 },
      proof: 'agent_signed',
      time: { hour: 12, weekday: 2 },
      history: { task: did([]), agent: did(touched), owner: ofOwner(did(others)) },
    },
  }
}

describe('the starter policies', () => {
  const engine = cedarEngine(filesOf({ 'schema.cedarschema': schema, 'starter.cedar': starter }))

  it.each<[why: string, outcome: 'allow' | 'deny', by: string, Situation]>([
    ['what was granted and nothing forbids', 'allow', 'granted', { labels: ['reads_private'] }],
    ['sending, before anything was read', 'allow', 'granted', { labels: ['external_send'] }],
    [
      'sending, after other agents of the owner did both',
      'deny',
      'no-exfiltration',
      { labels: ['external_send'], others: ['reads_private', 'reads_untrusted'] },
    ],
    [
      'sending, after private data and another agent of the owner untrusted content',
      'deny',
      'no-exfiltration',
      { labels: ['external_send'], touched: ['reads_private'], others: ['reads_untrusted'] },
    ],
    [
      'sending, after private data alone',
      'allow',
      'granted',
      { labels: ['external_send'], touched: ['reads_private'] },
    ],
    [
      'sending, after untrusted content alone',
      'allow',
      'granted',
      { labels: ['external_send'], touched: ['reads_untrusted'] },
    ],
    [
      'sending, after both',
      'deny',
      'no-exfiltration',
      { labels: ['external_send'], touched: ['reads_private', 'reads_untrusted'] },
    ],
    [
      'reading, after both',
      'allow',
      'granted',
      { labels: ['reads_private'], touched: ['reads_private', 'reads_untrusted'] },
    ],
    ['a first tool without a description', 'deny', 'described-tools-only', { labels: ['unlabelled'] }],
    [
      'sending, after a tool without a description',
      'deny',
      'no-exfiltration',
      { labels: ['external_send'], touched: ['unlabelled'] },
    ],
    ['destruction in a window', 'deny', 'destructive-needs-its-own-approval', { labels: ['destructive'] }],
    ['destruction that was approved by itself', 'allow', 'granted', { labels: ['destructive'], mode: 'per_action' }],
  ])('judge %s: %s, by %s', (_, outcome, by, situation) => {
    expect(engine.evaluate(asked(situation))).toEqual({ outcome, policies: [by] })
  })
})

it('denies when a policy cannot be evaluated, though another permits: Cedar alone would skip the forbid (V13)', () => {
  const overflow =
    'forbid (principal, action == Action::"tools/call", resource) when { 9223372036854775807 + context.grant.approvers > 0 };'
  const engine = engineOf(`@id("all") permit (principal, action, resource);\n@id("broken") ${overflow}`)
  expect(engine.evaluate(asked())).toEqual({ outcome: 'error', policies: ['broken'] })
})

it.each<[why: string, request: PolicyRequest]>([
  ['an action that no policy knows', asked({ action: 'tools/list' })],
  ['an entity of another type', { ...asked(), resource: { ...asked().resource, type: 'payroll' } }],
  ['a context that lacks a member', { ...asked(), context: {} }],
  [
    'an attribute of another type',
    { ...asked(), resource: { ...asked().resource, attributes: { labels: 'none', server: '' } } },
  ],
  ['what is no value', { ...asked(), context: { ...asked().context, proof: undefined } }],
])('answers %s with no answer, and never throws (V13)', (_, request) => {
  expect(engineOf('permit (principal, action, resource);').evaluate(request)).toMatchObject({ outcome: 'invalid' })
})

it('allows nothing by an empty set', () => {
  expect(engineOf('').evaluate(asked())).toEqual({ outcome: 'deny', policies: [] })
})

it.each<[why: string, files: Record<string, string | Uint8Array>, where: string]>([
  ['no schema', { 'a.cedar': 'permit (principal, action, resource);' }, 'schema.cedarschema: missing'],
  ['a schema that is none', { 'schema.cedarschema': 'entity', 'a.cedar': '' }, 'policies'],
  ['a policy that is none', { 'schema.cedarschema': schema, 'a.cedar': 'permit all;' }, 'a.cedar'],
  [
    'an attribute that the schema lacks',
    {
      'schema.cedarschema': schema,
      'a.cedar': '@id("x") permit (principal is agent, action, resource) when { principal.admin };',
    },
    'x',
  ],
  [
    'a template',
    { 'schema.cedarschema': schema, 'a.cedar': 'permit (principal == ?principal, action, resource);' },
    'a.cedar',
  ],
  [
    'an id twice',
    {
      'schema.cedarschema': schema,
      'a.cedar': '@id("x") permit (principal, action, resource);',
      'b.cedar': '@id("x") permit (principal, action, resource);',
    },
    'b.cedar',
  ],
  ['a text that is no UTF-8', { 'schema.cedarschema': schema, 'a.cedar': Uint8Array.of(0xff) }, ''],
])('loads no set with %s, and names where', (_, files, where) => {
  expect(() => cedarEngine(filesOf(files))).toThrow(where)
})

it('answers with its own policies, even if other sets were loaded since', () => {
  const texts = Array.from({ length: 12 }, (_, n) => `@id("policy-${n}") permit (principal, action, resource);`)
  const engines = texts.map(engineOf)
  const answers = engines.map((engine) => engine.evaluate(asked()))
  expect(answers).toEqual(texts.map((_, n) => ({ outcome: 'allow', policies: [`policy-${n}`] })))
})

it('is ready before it is asked where it is to be, and where it is not, once it is', () => {
  const set = loadPolicySet(
    filesOf({ 'schema.cedarschema': schema, 'test.cedar': 'permit (principal, action, resource);' }),
  )
  const shapes = shapesOf(set.schema ?? '')
  const { principal, resource, context } = asked()
  const knows = (name: string) =>
    askCedar(
      { policies: name, schema: `${name} Action tools/call` },
      { principal, resource, context, action: 'tools/call' },
    ).ok
  for (const eager of [true, false, undefined]) {
    const name = `cedar-engine.test ${eager}`
    const options = { shapes, groupsOf: shapes.groups, ...(eager === undefined ? {} : { eager }) }
    const engine = plainEngineOf(set, name, options)
    expect(knows(name)).toBe(eager === true)
    expect(engine.evaluate(asked())).toMatchObject({ outcome: 'allow' })
    expect(knows(name)).toBe(true)
    expect(engine.context('tools/call')).toEqual(shapes.context({ type: 'Action', id: 'tools/call' }))
  }
})

describe('a policy that wants a human’s word', () => {
  const all = '@id("all") permit (principal, action, resource);'
  const destructive = 'when { resource.labels.contains("destructive") }'
  const stepUp = `@id("ask") @step_up("it cannot be undone") forbid (principal, action, resource is tool) ${destructive};`
  const no = '@id("no") forbid (principal, action, resource) when { context.grant.approvers > 1 };'
  const of = (...texts: string[]) => engineOf(texts.join('\n'))
  const dangerous = asked({ labels: ['destructive'] })
  const crowded = {
    ...dangerous,
    context: { ...dangerous.context, grant: { id: 'g', task: 't', mode: 'window', approvers: 2, seconds_left: 1 } },
  }

  it('says so where nothing else stands in the way, and denies where something does', () => {
    expect(of(all, stepUp, no).evaluate(dangerous)).toEqual({ outcome: 'step_up', policies: ['ask'], permits: ['all'] })
    expect(of(all, stepUp, no).evaluate(asked())).toEqual({ outcome: 'allow', policies: ['all'] })
    expect(of(all, stepUp, no).evaluate(crowded)).toMatchObject({ outcome: 'deny' })
  })

  it('lifts nothing that those oblige to that permit: they are named (V13)', () => {
    const obliging = '@id("obliging") @redact("iban") permit (principal, action, resource);'
    const answer = of(all, stepUp, obliging).evaluate(dangerous)
    expect(answer).toEqual({ outcome: 'step_up', policies: ['ask'], permits: ['all', 'obliging'] })
  })

  it('is asked of its own set, even if other sets were loaded since (V13)', () => {
    const [first, second] = [of(all, stepUp), of('@id("other") permit (principal, action, resource);', stepUp)]
    const permits = [first, second].map((engine) => engine.evaluate(dangerous))
    expect(permits).toEqual(['all', 'other'].map((id) => ({ outcome: 'step_up', policies: ['ask'], permits: [id] })))
  })

  it('waives nothing where no policy permits', () => {
    expect(of(stepUp).evaluate(dangerous)).toEqual({ outcome: 'deny', policies: ['ask'] })
  })

  it('is an error where it cannot be evaluated: then it is not known whom to ask (V13)', () => {
    const broken =
      '@id("b") @step_up("x") forbid (principal, action == Action::"tools/call", resource) when { 9223372036854775807 + context.grant.approvers > 0 };'
    expect(of(all, broken).evaluate(asked())).toEqual({ outcome: 'error', policies: ['b'] })
  })

  it('is a forbid, else the set is not loaded', () => {
    expect(() => of('@id("x") @step_up("y") permit (principal, action, resource);')).toThrow('@step_up')
  })

  it('may have an annotation without words', () => {
    const silent = `@id("ask") @step_up forbid (principal, action, resource is tool) ${destructive};`
    expect(of(all, silent).evaluate(dangerous)).toMatchObject({ outcome: 'step_up' })
  })

  it('is shown in docs/how-to/rules.md as one that loads', () => {
    const page = readFileSync(join(policies, '../docs/how-to/rules.md'), 'utf8')
    const engine = of(all, /```cedar\n(.*?)```/s.exec(page)?.[1] ?? '')
    const sending = asked({ labels: ['external_send'] })
    const history = { task: did(['reads_private']), agent: did([]), owner: ofOwner(did([])) }
    expect(engine.evaluate(sending)).toMatchObject({ outcome: 'allow' })
    const answer = engine.evaluate({ ...sending, context: { ...sending.context, history } })
    expect(answer).toMatchObject({ outcome: 'step_up', policies: ['sending-after-private-data'] })
  })
})

describe('an explanation', () => {
  const text = `@id("all") permit (principal, action, resource) when { principal.owner != "nobody" };
@id("ask") @step_up forbid (principal, action, resource is tool) when { resource.labels.contains("destructive") };
@id("no") forbid (principal, action, resource) when { context.grant.mode == "per_action" };
@id("sum") forbid (principal, action, resource) when { context.grant.approvers + 9223372036854775806 < 0 };`
  const engine = engineOf(text)
  const two = (request: PolicyRequest) => {
    const grant = { ...(request.context.grant as object), approvers: 2 }
    return { ...request, context: { ...request.context, grant } }
  }

  it.each<[outcome: string, PolicyRequest, would: string[]]>([
    ['allow', asked(), ['context.grant.approvers', 'context.grant.mode', 'subject.owner', 'resource.labels']],
    ['deny', asked({ mode: 'per_action' }), ['context.grant.mode']],
    ['step_up', asked({ labels: ['destructive'] }), ['resource.labels']],
    ['error', two(asked()), ['context.grant.approvers']],
    ['invalid', asked({ action: 'nothing' }), []],
  ])('gives the outcome that is decided by, and what would change it: %s', (outcome, request, would) => {
    const { wouldChange, ...explained } = engine.explain(request)
    const { outcome: decided, policies = [] } = engine.evaluate(request) as { outcome: string; policies?: string[] }
    expect(explained).toMatchObject({ outcome, policies })
    expect(decided).toBe(outcome)
    expect(wouldChange.map(({ attribute }) => attribute).toSorted()).toEqual(would.toSorted())
    expect(explained.messages).toHaveLength(outcome === 'error' || outcome === 'invalid' ? 1 : 0)
  })

  it('says in Cedar’s words what went wrong', () => {
    expect(engine.explain(two(asked())).messages).toEqual([expect.stringContaining('overflow')])
    expect(engine.explain(asked({ action: 'nothing' })).messages).toEqual([expect.stringContaining('nothing')])
  })

  it.each<[why: string, PolicyRequest]>([
    ['lacks a member', { ...asked(), context: {} }],
    ['has one of another type', { ...asked(), context: { ...asked().context, proof: 1 } }],
    ['is no value', { ...asked(), context: { ...asked().context, proof: undefined } }],
  ])('names nothing that would change it of a request whose context %s', (_, request) => {
    expect(engine.explain(request)).toMatchObject({ outcome: 'invalid', wouldChange: [] })
  })
})

it('decides by compiled policies where the starter policies decide', () => {
  const by: string[] = []
  const engine = cedarEngine(
    filesOf({ 'schema.cedarschema': schema, 'starter.cedar': starter }),
    strictWatch((engine, why) => by.push(`${engine}${why}`)),
  )
  for (const labels of [[], ['destructive'], ['external_send'], ['reads_private', 'reads_untrusted']])
    for (const touched of [[], ['reads_private', 'reads_untrusted']])
      for (const mode of ['window', 'per_action']) engine.evaluate(asked({ labels, touched, mode }))
  expect(new Set(by)).toEqual(new Set(['compiled']))
})
