import { generateKey } from '@bailiwick/credentials'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { stringify } from 'yaml'
import { parseRegistry } from './registry-file.ts'

const hash = '47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU'
const jwk = () => generateKey('agent').publicJwk

const agent = {
  id: 'spiffe://bailiwick.local/agent/reconciler',
  name: 'Invoice reconciler',
  owner: 'alice',
  attestor: { kind: 'registered_key', keys: [{ instance: 'i1', jwk: jwk() }] },
  labels: ['finance'],
  proactive_requests: true,
}
const rule = {
  id: 'tasks',
  order: 100,
  match: { actions: ['tools/call'] },
  approvers: { group: 'owners', quorum: 1 },
  owner_may_approve: false,
  modes: ['window'],
  max_window_seconds: 3600,
  narrowing: true,
}
const toolServer = {
  id: 'erp',
  url: 'https://erp.example/',
  manifest: hash,
  tools: { read: { labels: ['reads_private'] } },
}
const point = {
  id: 'gateway',
  caller_jwk: jwk(),
  outcome_jwk: jwk(),
  resources: [{ type: 'tool', id: 'erp/read' }],
  base_urls: ['https://erp.example'],
  may_release: false,
}

const refusal = (text: string) => {
  try {
    parseRegistry(text, 'registry.yaml')
  } catch (error) {
    return error instanceof Error ? error.message : ''
  }
  return 'taken'
}

it('reads every kind of entity that a file may bring, and what is to be retired', () => {
  const text = stringify({
    agents: [agent],
    rules: [rule],
    tool_servers: [toolServer],
    enforcement_points: [point],
    retire: [{ type: 'approver', id: 'bob' }],
  })
  expect(parseRegistry(text, 'registry.yaml')).toEqual([
    { type: 'agent', id: agent.id, value: agent },
    { type: 'rule', id: 'tasks', value: rule },
    { type: 'tool-server', id: 'erp', value: toolServer },
    { type: 'enforcement-point', id: 'gateway', value: point },
    { type: 'approver', id: 'bob' },
  ])
})

it('takes a file that says nothing', () => {
  expect(parseRegistry('', 'registry.yaml')).toEqual([])
  expect(parseRegistry('# later\n', 'registry.yaml')).toEqual([])
})

it.each([
  ['approvers: []', 'approvers: an approver brings a passkey'],
  ['service_keys: []', 'service_keys: a service key needs a certificate by the root key'],
  ['policy_set: {}', 'policy_set: policies are activated'],
  ['agent: []', 'registry.yaml:1: the file: Unrecognized key: "agent"'],
  ['- a', 'registry.yaml:1: the file: '],
  ['rules: 5', 'registry.yaml:1: rules: '],
  ['retire: [{type: service-key, id: x}]', 'registry.yaml:1: retire.0.type: '],
  ['rules:\n  - id: [', 'registry.yaml:2: '],
  ['rules: []\nrules: []', 'registry.yaml:2: Map keys must be unique'],
  ['rules: *nobody', 'registry.yaml: Unresolved alias'],
  ['retire: [{type: rule, id: a}, {type: rule, id: a}]', 'registry.yaml: rule a is there twice'],
])('refuses %j, and says where and why', (text, message) => {
  expect(refusal(text)).toContain(
    `config_invalid: ${message.startsWith('registry') ? '' : 'registry.yaml: '}${message}`,
  )
})

it('names the line of what is wrong, each of several, and a misspelt member rather than ignoring it', () => {
  const text = stringify({ rules: [rule, { ...rule, id: 'other', order: -1, owner_may_aprove: true }] })
  const orderLine = text.split('\n').findIndex((line) => line.includes('order: -1')) + 1
  const lines = refusal(text).split('\n')
  expect(lines).toHaveLength(2)
  expect(lines[0]).toContain(`registry.yaml:${orderLine}: rules.1.order: `)
  expect(lines[1]).toContain('Unrecognized key: "owner_may_aprove"')
})

it('refuses a private key where a public one belongs, without repeating it', () => {
  const leaked = {
    ...agent,
    attestor: { kind: 'registered_key', keys: [{ instance: 'i1', jwk: { ...jwk(), d: 'c2VjcmV0' } }] },
  }
  const message = refusal(stringify({ agents: [leaked] }))
  expect(message).toContain('agents.0.attestor.keys.0.jwk')
  expect(message).not.toContain('c2VjcmV0')
})

it('refuses more than one change can hold', () => {
  const many = (n: number) =>
    stringify({ retire: Array.from({ length: n }, (_, i) => ({ type: 'rule', id: `r${i}` })) })
  expect(refusal(many(64))).toBe('taken')
  expect(refusal(many(65))).toContain('more than 64 entities')
})

it('is not fooled by aliases that multiply', () => {
  const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c]\n`
  expect(refusal(bomb)).toContain('config_invalid: registry.yaml: Excessive alias count')
})

it('throws nothing but config_invalid, whatever the text', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        fc.json().map((text) => stringify(JSON.parse(text))),
      ),
      (text) => {
        const message = refusal(text)
        return message === 'taken' || message.startsWith('config_invalid: ')
      },
    ),
    { numRuns: 300 },
  )
})
