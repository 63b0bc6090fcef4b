import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { type AskedFor, readAnswerRules, ruleFor, rulesWithin } from './answer-rules.ts'

const dir = mkdtempSync(join(tmpdir(), 'answers-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

function rules(text: string) {
  const path = join(dir, 'answers.yaml')
  writeFileSync(path, text)
  return readAnswerRules(path)
}

const now = Date.parse('2026-11-29T12:00:00Z')
const asked = (
  authority: Partial<AskedFor['authority']> = {},
  { agent = 'spiffe://bailiwick.local/agent/reconciler/i1', minutes = 60 } = {},
): AskedFor => ({
  agent,
  not_after: new Date(now + minutes * 60_000).toISOString(),
  authority: {
    task: 'reconcile',
    permissions: [{ actions: ['tools/call'], resource: { type: 'tool', id: 'invoices/read' } }],
    budget: { calls: 10, cost: { EUR: '100.50' } },
    ...authority,
  },
})
const read = { actions: ['tools/call'], resource: { type: 'tool', id: 'invoices/read' } }
const send = { actions: ['tools/call'], resource: { type: 'tool', id: 'mail/send' } }

it('answers by the first rule that matches, and by none where none does', () => {
  const answers = rules(`
requests:
  - { agent: forecaster, answer: deny, reason: not today }
  - { task: reconcile, answer: approve }
`)
  expect(ruleFor(answers, asked(), now)).toMatchObject({ number: 2, rule: { answer: 'approve' } })
  const forecaster = { agent: 'spiffe://bailiwick.local/agent/forecaster/i1' }
  expect(ruleFor(answers, asked({}, forecaster), now)).toMatchObject({ number: 1, rule: { reason: 'not today' } })
  expect(ruleFor(answers, asked({ task: 'other' }), now)).toBeUndefined()
  expect(answers.registry_changes).toBe('approve')
})

describe('a limit that is exceeded is no match:', () => {
  it.each([
    ['time', '{ minutes: 59 }', asked()],
    ['calls', '{ calls: 9 }', asked()],
    ['calls without a bound', '{ calls: 1000000 }', asked({ budget: {} })],
    ['cost', '{ cost: { EUR: 100 } }', asked()],
    ['a currency that is not listed', '{ cost: { USD: 1000 } }', asked()],
  ])('%s', (_, limits, request) => {
    const answers = rules(`requests: [{ at_most: ${limits}, answer: approve }]`)
    expect(ruleFor(answers, request, now)).toBeUndefined()
  })
  it('and one that is reached is one', () => {
    const answers = rules('requests: [{ at_most: { minutes: 60, calls: 10, cost: { EUR: 100.5 } }, answer: approve }]')
    expect(ruleFor(answers, asked(), now)).toMatchObject({ number: 1 })
  })
})

describe('every action and every resource that is asked for must be named:', () => {
  it.each([
    ['resources: ["tool:invoices/*"]', [read], true],
    ['resources: ["tool:invoices/*"]', [read, send], false],
    ['resources: ["tool:invoices/read"]', [read], true],
    ['resources: ["api:invoices/read"]', [read], false],
    ['resources: ["tool:invoices/read", "tool:mail/send"]', [read, send], true],
    // A prefix is wider than a name that starts with it.
    [
      'resources: ["api:https://a.example/"]',
      [{ actions: ['x'], resource: { type: 'api', id_prefix: 'https://a.example/' } }],
      false,
    ],
    [
      'resources: ["api:https://a.example/*"]',
      [{ actions: ['x'], resource: { type: 'api', id_prefix: 'https://a.example/' } }],
      true,
    ],
    [
      'resources: ["api:https://a.example/b/*"]',
      [{ actions: ['x'], resource: { type: 'api', id_prefix: 'https://a.example/' } }],
      false,
    ],
    ['actions: [tools/call]', [read], true],
    ['actions: [http/get]', [read], false],
  ])('%s', (rule, permissions, matches) => {
    const answers = rules(`requests: [{ ${rule}, answer: approve }]`)
    expect(ruleFor(answers, asked({ permissions }), now) !== undefined).toBe(matches)
  })
})

it('without a file approves within the limits, and denies the rest with a reason', () => {
  const answers = rulesWithin({ minutes: 60, calls: 10 })
  expect(ruleFor(answers, asked(), now)?.rule.answer).toBe('approve')
  expect(ruleFor(answers, asked({ budget: { calls: 11 } }), now)?.rule).toMatchObject({
    answer: 'deny',
    reason: expect.stringContaining('10 calls and 60 minutes'),
  })
})

it.each([
  ['requests: [{ answer: maybe }]', 'requests.0.answer'],
  ['requests: [{ agnet: x, answer: deny }]', 'agnet'],
  ['requests: [{ resources: [invoices], answer: deny }]', 'not type:id'],
  ['nothing: 1', 'requests'],
  ['requests: [', 'answers.yaml'],
])('refuses a file that is wrong, and says where: %s', (text, where) => {
  expect(() => rules(text)).toThrow(where)
})
