import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type CandidateAnswer, type CandidateLimits, CandidateThread, candidateLimits } from './candidate-thread.ts'
import type { PolicyRequest } from './policy-engine.ts'

const schema = `entity agent; entity tool;
action "tools/call" appliesTo { principal: [agent], resource: [tool], context: { n: Long, history: { task: { calls: Long } } } };`

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'candidate-thread-test-'))
  writeFileSync(join(folder, 'schema.cedarschema'), schema)
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const request = (n: number): PolicyRequest => ({
  principal: { type: 'agent', id: 'a' },
  action: 'tools/call',
  resource: { type: 'tool', id: 't' },
  context: { n, history: { task: { calls: 0 } } },
})

/** A candidate with these policies, once it has loaded or ended. */
async function started(policies: string, limits: Partial<CandidateLimits> = {}) {
  writeFileSync(join(folder, 'a.cedar'), policies)
  const ended = Promise.withResolvers<string>()
  const loaded = Promise.withResolvers<string>()
  const told = { onLoaded: ({ hash }: { hash: string }) => loaded.resolve(hash), onEnd: ended.resolve }
  const thread = new CandidateThread(folder, told, { ...candidateLimits, ...limits })
  await Promise.race([loaded.promise, ended.promise])
  const ask = (...requests: PolicyRequest[]) =>
    new Promise<CandidateAnswer | undefined>((resolve) => thread.ask(requests, resolve))
  return { thread, ask, ended: ended.promise, [Symbol.asyncDispose]: () => thread[Symbol.asyncDispose]() }
}

const positive = '@id("positive") permit (principal, action, resource) when { context.n > 0 };'
const all = 'permit (principal, action, resource) when { context.history == context.history };'
/** Each policy is evaluated for each request: none can be excluded beforehand. */
const slow = Array.from({ length: 4000 }, (_, n) => `permit (principal, action, resource) when { context.n == ${n} };`)

it('answers as the set does, of all who answer for an action', async () => {
  await using candidate = await started(positive)
  expect(candidate.thread.loaded?.history.get('tools/call')).toMatchObject({ shape: { kind: 'Record' }, facts: 1 })
  expect(await candidate.ask(request(1))).toEqual({
    outcome: 'allow',
    policies: ['positive'],
    permits: ['positive'],
    wanting: [],
  })
  expect(await candidate.ask(request(1), request(0), request(1))).toEqual({ outcome: 'deny', policies: [] })
})

it.each([
  ['does not parse', 'permit (principal,', 'a.cedar'],
  ['wants a history that there is not', positive, 'context.history.task.wishes', 'calls: Long', 'wishes: Long'],
  ['is too large', `${positive}\n// ${'x'.repeat(5000)}`, 'larger than'],
  ['looks at too much history', all, 'facts', 'calls: Long', `count: { ${countOf(300)} }`],
])('one that %s ends, and says why', async (_, policies, why, before = '', after = '') => {
  writeFileSync(join(folder, 'schema.cedarschema'), schema.replace(before, after))
  await using candidate = await started(policies, { mostBytes: 5000, mostHistory: 200 })
  expect(await candidate.ended).toContain(why)
  expect(candidate.thread.loaded).toBeUndefined()
  expect(await candidate.ask(request(1))).toBeUndefined()
})
function countOf(labels: number): string {
  return Array.from({ length: labels }, (_, n) => `l${n}: Long`).join(', ')
}

it('a candidate that is slow to load, or to answer, ends; requests that waited get no answer', async () => {
  await using never = await started(slow.join('\n'), { loadMs: 1 })
  expect(await never.ended).toBe('slow')
  await using late = await started(slow.join('\n'), { answerMs: 1 })
  let why: string | undefined
  void late.ended.then((told) => (why = told))
  const answers: (CandidateAnswer | undefined)[] = []
  // On a busy machine an answer may arrive before this thread checks: then it was not slow.
  for (let n = -1; why === undefined; n -= 200)
    answers.push(...(await Promise.all(Array.from({ length: 200 }, (_, i) => late.ask(request(n - i))))))
  expect(why).toBe('slow')
  expect(answers).toContain(undefined)
  expect(late.thread.loaded).toBeUndefined()
})

it('holds so many questions and no more, and never calls back at once', async () => {
  await using candidate = await started(positive, { mostWaiting: 3 })
  let atOnce = 0
  const asked = Array.from({ length: 10 }, () => {
    const { promise, resolve } = Promise.withResolvers<CandidateAnswer | undefined>()
    let isBack = false
    candidate.thread.ask([request(1)], (answer) => {
      if (!isBack) atOnce++
      resolve(answer)
    })
    isBack = true
    return promise
  })
  const answers = await Promise.all(asked)
  expect([answers.filter((answer) => answer !== undefined).length, atOnce]).toEqual([3, 0])
  expect(await candidate.ask(request(1))).toMatchObject({ outcome: 'allow' })
})

it('is over when its owner ends it: no request waits for ever', async () => {
  const candidate = await started(positive)
  const waiting = candidate.ask(request(1))
  await candidate.thread[Symbol.asyncDispose]()
  await waiting
  expect(await candidate.ask(request(1))).toBeUndefined()
})
