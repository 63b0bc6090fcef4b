import { describe, expect, it } from 'vitest'
import { parsePolicySet } from './policy-set.ts'
import { type Did, type RecordedQuestion, RecordedTrial } from './recorded-trial.ts'

const schema = `entity agent = { labels: Set<String> }; entity tool = { labels: Set<String> };
type Task = { labels: Set<String>, calls: Long, spent: { EUR: decimal } };
action "tools/call" appliesTo { principal: [agent], resource: [tool], context: {
  grant: { mode: String, seconds_left: Long }, time: { hour: Long, weekday: Long }, history: { task: Task } } };`
const granted = '@id("granted") permit (principal, action, resource);'
const tainted =
  '@id("tainted") forbid (principal, action, resource) when { context.history.task.labels.contains("untrusted") };'
const night = '@id("night") forbid (principal, action, resource) when { context.time.hour < 6 };'
const bad = '@id("bad") forbid (principal, action, resource) when { resource.labels.contains("bad") };'

const setOf = (text: string, of = schema) =>
  parsePolicySet(
    new Map([
      ['a.cedar', Buffer.from(text)],
      ['schema.cedarschema', Buffer.from(of)],
    ]),
  )

interface Ask {
  schema?: string
  hour?: number
  labels?: string[]
  agents?: string[][]
  unknown?: string[][]
  saidYes?: boolean
  decidedBy?: RecordedQuestion['decidedBy']
  did?: Record<string, Did>
}
let names = 0
function ask(
  policies: string,
  {
    schema: of = schema,
    hour = 12,
    labels = [],
    agents = [[]],
    unknown = [],
    saidYes = false,
    decidedBy,
    did = {},
  }: Ask = {},
) {
  const requests = agents.map((own, n) => ({
    principal: { type: 'agent', id: `a${n}`, attributes: { labels: own } },
    action: 'tools/call',
    resource: { type: 'tool', id: 't', attributes: { labels } },
    context: { grant: { mode: 'window', seconds_left: 60 }, time: { hour, weekday: 1 } },
  }))
  const question = { requests, unknown, saidYes, decidedBy, did: (id: string) => did[id] }
  return new RecordedTrial(setOf(policies, of), `recorded-trial-test ${names++}`).ask(question)
}

describe('what does not depend on what is not known', () => {
  it('is answered exactly', () => {
    expect(ask(granted)).toEqual({ passes: true, policies: ['granted'] })
    expect(ask(granted + bad, { labels: ['bad'] })).toEqual({ passes: false, policies: ['bad'] })
    expect(ask(bad)).toEqual({ passes: false, policies: [] })
    expect(ask(granted + night, { hour: 5 })).toEqual({ passes: false, policies: ['night'] })
  })

  it('is answered even if the rest is open: a forbid that applies, no permit at all, a part of a condition that is false', () => {
    expect(ask(granted + tainted + bad, { labels: ['bad'] })).toEqual({ passes: false, policies: ['bad'] })
    expect(ask(tainted)).toMatchObject({ passes: false })
    const both =
      '@id("both") forbid (principal, action, resource) when { resource.labels.contains("bad") && context.history.task.calls > 3 };'
    expect(ask(granted + both)).toMatchObject({ passes: true })
    expect(ask(granted + both, { labels: ['bad'] })).toMatchObject({ needs: ['context.history'], policies: ['both'] })
  })

  it('is answered for a long policy as for a short one, unless that reads what is not known', () => {
    const any = (of: string) => Array(100).fill(of).join(' || ')
    const long = (of: string) => `@id("long") forbid (principal, action, resource) when { ${any(of)} };`
    expect(ask(granted + tainted + long('context.time.hour == 12'))).toMatchObject({
      passes: false,
      policies: ['long'],
    })
    expect(ask(granted + long('context.time.hour == 11'))).toMatchObject({ passes: true })
    expect(ask(granted + long('context.history.task.calls > 3'))).toEqual({
      needs: ['context.history'],
      policies: ['long'],
    })
  })

  it('an error denies, as at the decision point (V13)', () => {
    const errs =
      '@id("errs") forbid (principal, action, resource) when { 9223372036854775807 + context.time.weekday > 0 };'
    expect(ask(granted + errs)).toEqual({ passes: false, policies: ['errs'], why: 'error' })
    expect(ask(granted + errs + tainted)).toEqual({ passes: false, policies: ['errs'], why: 'error' })
  })

  it('there are no arguments, as at the decision point: who must have them denies, who may do without finds none (V13)', () => {
    const large = '@id("large") forbid (principal, action, resource) when { context.arguments.amount > 100 };'
    const guarded = large.replace('when {', 'when { context has arguments &&')
    const of = (policies: string, member: string) =>
      ask(policies, { schema: schema.replace('time: {', `${member}: { amount: Long }, time: {`) })
    expect(of(granted + large, 'arguments')).toEqual({ passes: false, policies: [], why: 'invalid' })
    expect(of(granted + guarded, 'arguments?')).toEqual({ passes: true, policies: ['granted'] })
  })

  it('so does a request that does not fit the schema', () => {
    const trial = new RecordedTrial(
      setOf(granted, schema.replace('weekday: Long', 'weekday: String')),
      'recorded-trial-test x',
    )
    const context = { grant: { mode: 'window', seconds_left: 60 }, time: { hour: 1, weekday: 1 } }
    const request = {
      principal: { type: 'agent', id: 'a', attributes: { labels: [] } },
      action: 'tools/call',
      resource: { type: 'tool', id: 't', attributes: { labels: [] } },
      context,
    }
    const question = { requests: [request], unknown: [], saidYes: false, decidedBy: undefined, did: () => undefined }
    expect(trial.ask(question)).toEqual({ passes: false, policies: [], why: 'invalid' })
  })
})

describe('what is not known is never claimed (V13)', () => {
  it.each([
    ['by its name', 'context.history.task.labels.contains("untrusted")', ['history']],
    ['in a whole that holds it', 'context.time == {hour: 12, weekday: 1}', ['time', 'hour']],
    ['of a wider whole', 'context.history.task == context.history.task', ['history', 'task', 'calls']],
    [
      'behind a test of its presence',
      'context.history.task has labels && context.history.task.labels.contains("x")',
      ['history'],
    ],
    ['in arithmetic that may err', 'context.history.task.calls + 1 > 0', ['history']],
    ['as money', 'context.history.task.spent.EUR.greaterThan(decimal("5.0"))', ['history']],
  ])('%s', (_, condition, member) => {
    const policy = `@id("reads") forbid (principal, action, resource) when { ${condition} };`
    expect(ask(granted + policy, { unknown: [member] })).toMatchObject({
      policies: ['reads'],
      needs: expect.any(Array),
    })
    const permit = `@id("reads") permit (principal, action, resource) when { ${condition} };`
    expect(ask(permit, { unknown: [member] })).toMatchObject({ policies: ['reads'] })
  })

  it('names what it depends on, each once', () => {
    const two =
      '@id("two") forbid (principal, action, resource) when { context.time.hour > 3 && context.history.task.calls > 1 };'
    const answer = ask(granted + two + tainted, { unknown: [['time', 'hour']] })
    expect(answer).toEqual({ needs: ['context.history', 'context.time.hour'], policies: ['tainted', 'two'] })
  })

  it('an open permit beside one that applies may yet err', () => {
    const sum =
      '@id("sum") permit (principal, action, resource) when { context.history.task.calls + 9223372036854775807 > 0 };'
    expect(ask(granted + sum)).toMatchObject({ needs: ['context.history'], policies: ['sum'] })
  })
})

describe('what the record says of policies that stand unchanged (V13)', () => {
  const decidedBy = setOf(granted + tainted)
  it('is not asked again: each did what it did', () => {
    expect(ask(granted + tainted, { decidedBy, did: { granted: 'applied', tainted: 'not' } })).toMatchObject({
      passes: true,
    })
    expect(ask(granted + tainted + night, { hour: 3, decidedBy, did: { tainted: 'not' } })).toEqual({
      passes: false,
      policies: ['night'],
    })
    expect(ask(granted + tainted, { decidedBy, did: { tainted: 'applied' } })).toEqual({
      passes: false,
      policies: ['tainted'],
    })
    expect(ask(granted + tainted, { decidedBy, did: { tainted: 'erred' } })).toMatchObject({
      passes: false,
      why: 'error',
    })
  })

  it('is not believed of a policy that was changed, under another schema, or of another set', () => {
    const changed = tainted.replace('untrusted', 'unlabelled')
    const did = { granted: 'applied', tainted: 'not' } as const
    expect(ask(granted + changed, { decidedBy, did })).toMatchObject({ policies: ['tainted'] })
    const wider = setOf(granted + tainted, schema.replace('EUR: decimal', 'EUR: decimal, USD: decimal'))
    expect(ask(granted + tainted, { decidedBy: wider, did })).toMatchObject({ policies: ['tainted'] })
    expect(ask(granted + tainted, { did })).toMatchObject({ policies: ['tainted'] })
  })
})

it('all who answer for an action must be allowed; the first refusal is the answer', () => {
  const kept = '@id("kept") forbid (principal, action, resource) when { principal.labels.contains("kept") };'
  expect(ask(granted + kept, { agents: [[], []] })).toEqual({ passes: true, policies: ['granted'] })
  expect(ask(granted + kept, { agents: [[], ['kept']] })).toEqual({ passes: false, policies: ['kept'] })
  expect(ask(granted + kept + tainted, { agents: [[], ['kept']] })).toEqual({ passes: false, policies: ['kept'] })
})

describe("a human's yes to this very action", () => {
  const asks =
    '@id("asks") @step_up("big") forbid (principal, action, resource) when { resource.labels.contains("bad") };'
  it('serves where policies want it, and no other forbid', () => {
    const labels = ['bad']
    expect(ask(granted + asks, { labels })).toEqual({ passes: false, policies: ['asks'] })
    expect(ask(granted + asks, { labels, saidYes: true })).toMatchObject({ passes: true })
    expect(ask(granted + asks + bad, { labels, saidYes: true })).toMatchObject({ passes: false })
    expect(ask(granted + asks + tainted, { labels, saidYes: true })).toMatchObject({ policies: ['tainted'] })
  })

  it('does not serve a policy that may err', () => {
    const sum =
      '@id("sum") @step_up("s") forbid (principal, action, resource) when { context.history.task.calls + 9223372036854775807 > 0 };'
    expect(ask(granted + sum, { saidYes: true })).toMatchObject({ needs: ['context.history'], policies: ['sum'] })
  })
})

it('refuses a set that no decision point would load', () => {
  const wishes = schema.replace('calls: Long', 'wishes: Long')
  expect(() => new RecordedTrial(setOf(granted, wishes), 'recorded-trial-test y')).toThrow('wishes')
})
