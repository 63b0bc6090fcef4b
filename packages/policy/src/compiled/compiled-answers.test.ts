import { expect, it } from 'vitest'
import { AuthZenPolicies, PolicySlot } from '../authzen-policies.ts'
import { cedarEngine } from '../cedar-engine.ts'
import type { PolicyAnswer } from '../policy-engine.ts'
import { loadPolicySet } from '../policy-set.ts'
import { anyone, bothOf, plainRequest, strictWatch } from './compiled.fixture.ts'
import { CompiledAnswers } from './compiled-answers.ts'
import { EngineWatch } from './engine-watch.ts'

const schema = `entity Group; entity User in [Group] { level?: Long }; entity Doc { owner?: User };
  action read appliesTo { principal: [User], resource: [Doc], context: { n?: Long } };`
const filesOf = (policies: string, entities?: unknown) => {
  const texts = { 'a.cedar': policies, 'schema.cedarschema': schema, 'entities.json': JSON.stringify(entities ?? []) }
  return new Map(Object.entries(texts).map(([name, text]) => [name, Buffer.from(text)]))
}
const counted = () => {
  const answers: string[] = []
  return { answers, watch: strictWatch((by, why) => answers.push(`${by}${why === '' ? '' : `: ${why}`}`)) }
}

it('answers what is compiled, and leaves the rest to Cedar, which it says', () => {
  const { answers, watch } = counted()
  const engine = cedarEngine(
    filesOf('@id("p") permit (principal, action, resource) unless { context has n && context.n + 1 > 9 };'),
    watch,
  )
  expect(engine.evaluate(plainRequest)).toEqual({ outcome: 'allow', policies: ['p'] })
  expect(engine.evaluate({ ...plainRequest, context: { n: 8 } })).toEqual({ outcome: 'allow', policies: ['p'] })
  expect(engine.evaluate({ ...plainRequest, context: { n: 9 } })).toEqual({ outcome: 'deny', policies: [] })
  const most = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(String(2n ** 63n - 1n))
  expect(engine.evaluate({ ...plainRequest, context: { n: most } })).toEqual({ outcome: 'error', policies: ['p'] })
  expect(engine.evaluate({ ...plainRequest, context: { n: 'x' } })).toMatchObject({ outcome: 'invalid' })
  expect(answers).toEqual(['compiled', 'compiled', 'compiled', 'compiled', 'cedar: request'])
})

it('asks for human approval where the policies do, in both engines', () => {
  const { answers, watch } = counted()
  const engine = cedarEngine(
    filesOf(`@id("p") permit (principal, action, resource);
      @id("s") @step_up("why") forbid (principal, action, resource) when { context has n };`),
    watch,
  )
  expect(engine.evaluate({ ...plainRequest, context: { n: 1 } })).toEqual({
    outcome: 'step_up',
    policies: ['s'],
    permits: ['p'],
  })
  expect(engine.evaluate(plainRequest)).toEqual({ outcome: 'allow', policies: ['p'] })
  expect(answers).toEqual(['compiled', 'compiled', 'compiled'])
})

it('finds stored entities, and those that a request changes, as Cedar does', () => {
  const { answers, watch } = counted()
  const uid = (type: string, id: string) => ({ type, id })
  const stored = [
    { uid: anyone, attrs: { level: 3 }, parents: [uid('Group', 'g')] },
    { uid: uid('User', 'eve'), attrs: {}, parents: [uid('Group', 'h')] },
    { uid: uid('Doc', '1'), attrs: { owner: { type: 'User', id: 'eve' } }, parents: [] },
  ]
  const policies = `@id("g") permit (principal in Group::"g", action, resource);
    @id("h") permit (principal in Group::"h", action, resource) when { principal has level && principal.level > 4 };
    @id("o") permit (principal, action, resource) when { resource has owner && resource.owner == principal };
    @id("l") permit (principal, action, resource) when { User::"ann" has level && User::"ann".level == 3 };`
  const set = new AuthZenPolicies(
    loadPolicySet(filesOf(policies, stored)),
    new PolicySlot('compiled-answers.test'),
    watch,
  )
  const ask = (id: string, properties = {}, doc: { id: string; properties?: object } = { id: '1' }): PolicyAnswer =>
    set.evaluate({
      subject: { type: 'User', id, properties },
      action: { name: 'read' },
      resource: { type: 'Doc', ...doc } as { type: string; id: string },
    })
  expect(ask('ann')).toMatchObject({ policies: ['g', 'l'] })
  expect(ask('ann', { level: 9 })).toMatchObject({ policies: ['g', 'l'] })
  expect(ask('eve', { level: 9 })).toMatchObject({ policies: ['h', 'l', 'o'] })
  expect(ask('new', { level: 9 }, { id: '2', properties: { owner: { type: 'User', id: 'new' } } })).toMatchObject({
    policies: ['l', 'o'],
  })
  expect(new Set(answers)).toEqual(new Set(['compiled']))
})

it('is switched off for a set by the first difference, and counts that (V13)', () => {
  const { set, compiled } = bothOf('@id("p") permit (principal, action, resource);')
  expect(compiled.notCompiled.size).toBe(0)
  const told: unknown[] = []
  const watch = new EngineWatch(
    {
      answered: (...answered) => told.push(answered),
      compared: (result) => told.push(result),
      different: ({ policySet }) => told.push(policySet),
    },
    () => true,
    (compare) => compare(),
  )
  const engine = new CompiledAnswers(set, { shapes: undefined }, watch)
  const deny = (): PolicyAnswer => ({ outcome: 'deny', policies: [] })
  expect(engine.answer(plainRequest, 'search', deny)).toEqual({ outcome: 'allow', policies: ['p'] })
  expect(engine.answer(plainRequest, 'decision', deny)).toEqual({ outcome: 'allow', policies: ['p'] })
  expect(engine.answer(plainRequest, 'decision', deny)).toBeUndefined()
  // Loaded again, it is the same set.
  expect(new CompiledAnswers(set, { shapes: undefined }, watch).answer(plainRequest, 'decision', deny)).toBeUndefined()
  const other = { ...set, hash: 'other' }
  expect(new CompiledAnswers(other, { shapes: undefined }, watch).answer(plainRequest, 'search', deny)).toBeDefined()
  expect(told).toEqual([
    ['compiled', ''],
    ['compiled', ''],
    'different',
    set.hash,
    ['cedar', 'switched_off'],
    ['cedar', 'switched_off'],
    ['compiled', ''],
  ])
})
