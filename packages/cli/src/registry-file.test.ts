import { readFileSync } from 'node:fs'
import { join } from 'node:path'
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
  expect(parseRegistry(text, 'registry.yaml').entities).toEqual([
    { type: 'agent', id: agent.id, value: agent },
    { type: 'rule', id: 'tasks', value: rule },
    { type: 'tool-server', id: 'erp', value: toolServer },
    { type: 'enforcement-point', id: 'gateway', value: point },
    { type: 'approver', id: 'bob' },
  ])
})

it('takes a file that says nothing', () => {
  const nothing = { entities: [], groups: [] }
  expect(parseRegistry('', 'registry.yaml')).toEqual(nothing)
  expect(parseRegistry('# later\n', 'registry.yaml')).toEqual(nothing)
})

it.each([
  [
    'approvers:\n  - { id: olga, name: Olga, groups: [], credentials: [] }',
    'registry.yaml:2: approvers.0: unknown member "credentials"',
  ],
  ['service_keys: []', 'service_keys: a service key needs a certificate by the root key'],
  ['policy_set: {}', 'policy_set: policies are activated'],
  ['agent: []', 'registry.yaml:1: the file: unknown member "agent"'],
  ['- a', 'registry.yaml:1: the file: '],
  ['rules: 5', 'registry.yaml:1: rules: '],
  ['retire: [{type: service-key, id: x}]', 'registry.yaml:1: retire.0.type: '],
  ['rules:\n  - id: [', 'registry.yaml:2: '],
  ['rules: []\nrules: []', 'registry.yaml:2: Map keys must be unique'],
  ['rules: *nobody', 'registry.yaml: Unresolved alias'],
  ['retire: [{type: rule, id: a}, {type: rule, id: a}]', 'registry.yaml: rule a is there twice'],
  ['groups: [{id: a, members: []}, {id: a, members: [b]}]', 'registry.yaml: group a is there twice'],
  ['groups:\n  - { id: a, members: [b], quorum: 2 }', 'registry.yaml:2: groups.0: unknown member "quorum"'],
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
  expect(lines[1]).toContain('unknown member "owner_may_aprove"')
})

it('says in one line for each place what is expected there', () => {
  const text = `agents:
  - id: reconciler
    name: ""
    owner: Alice Smith
    attestor: { kind: jwt, keys: [] }
    labels: [Finance]
    proactive_requests: "yes"
rules:
  - id: tasks
    order: 1.5
    match: { resources: [{ typ: tool }] }
    approvers: { group: owners, quorum: 0 }
    owner_may_aprove: true
    modes: [windw]
    max_window_seconds: 99999
enforcement_points:
  - id: gateway
    caller_jwk: { kty: EC, crv: P-256, x: a }
    outcome_jwk: 5
    resources: []
    base_urls: [erp]
    may_release: false
`
  expect(
    refusal(text)
      .replace(/^config_invalid: /, '')
      .replaceAll('registry.yaml:', '')
      .split('\n'),
  ).toEqual([
    '2: agents.0.id: expected a SPIFFE ID, such as spiffe://bailiwick.local/agent/reconciler (is "reconciler")',
    '3: agents.0.name: expected at least 1 character (is "")',
    '4: agents.0.owner: expected a name without white space: letters, digits and . _ : / @ - (is "Alice Smith")',
    '5: agents.0.attestor.kind: expected one of "registered_key", "jwt_svid", "oidc", "join_token", "emergency" (is "jwt")',
    '6: agents.0.labels.0: expected a label: lower case letters, digits and _, a letter first (is "Finance")',
    '7: agents.0.proactive_requests: expected true or false, not a text',
    '10: rules.0.order: expected a whole number, not a fraction',
    '11: rules.0.match.resources.0.type: missing: expected a text',
    '11: rules.0.match.resources.0: unknown member "typ"',
    '12: rules.0.approvers.quorum: expected at least 1 (is 0)',
    '9: rules.0.owner_may_approve: missing: expected true or false',
    '14: rules.0.modes.0: expected one of "per_action", "window", "continuous" (is "windw")',
    '15: rules.0.max_window_seconds: expected at most 28800 (is 99999)',
    '9: rules.0.narrowing: missing: expected true or false',
    '9: rules.0: unknown member "owner_may_aprove"',
    '18: enforcement_points.0.caller_jwk.y: missing: expected a text',
    '19: enforcement_points.0.outcome_jwk: expected members, not a number',
    '20: enforcement_points.0.resources: expected at least 1 item',
    '21: enforcement_points.0.base_urls.0: expected a URL, such as https://erp.example/ (is "erp")',
  ])
})

it('takes every attestor, callbacks, and all that a rule may ask for', () => {
  const attestors = [
    { kind: 'jwt_svid', bundle: { url: 'https://spire.example/bundle' } },
    {
      kind: 'oidc',
      issuer: 'https://kubernetes.example',
      audience: 'bailiwick',
      claims: { '/kubernetes.io/namespace': ['finance'] },
      instance_claim: '/kubernetes.io/pod/name',
    },
    { kind: 'join_token' },
  ]
  const agents = attestors.map((attestor, n) => ({
    ...agent,
    ...{ id: `${agent.id}-${n}`, attestor, callbacks: ['https://agents.example/done'] },
  }))
  const match = { labels: ['destructive'], agent_labels: ['finance'], cost_above: { EUR: '1000' } }
  const continuous = { reattest_seconds: 300, outcome_seconds: 60 }
  const rules = [{ ...rule, match, modes: ['continuous'], continuous }]
  expect(parseRegistry(stringify({ agents, rules }), 'registry.yaml').entities.map(({ value }) => value)).toEqual([
    ...agents,
    ...rules,
  ])
})

it('names the line of what is wrong inside an attestor', () => {
  const attestor = { kind: 'oidc', issuer: 'http://plain.example', audience: 'x', claims: {}, instance_claim: 'sub' }
  const text = stringify({ agents: [{ ...agent, attestor }] })
  const lineOf = (word: string) => text.split('\n').findIndex((line) => line.includes(word)) + 1
  const lines = refusal(text).split('\n')
  expect(lines[0]).toContain(`registry.yaml:${lineOf('issuer')}: agents.0.attestor.issuer: `)
  expect(lines[1]).toContain(`registry.yaml:${lineOf('instance_claim')}: agents.0.attestor.instance_claim: `)
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

it('throws only config_invalid, for any text', () => {
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

it.each([
  ['authzen.md', 'enforcement-point'],
  ['tokens.md', 'auditor'],
])('takes the entry that docs/how-to/%s shows', (name, type) => {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/how-to', name), 'utf8')
  const shown = /^```yaml\n(# bailiwick registry apply .*?)^```/ms.exec(page)?.[1] ?? ''
  const withKeys = shown.replaceAll('x: …, y: …', () => {
    const { x, y } = jwk() as { x: string; y: string }
    return `x: ${x}, y: ${y}`
  })
  expect(parseRegistry(withKeys, 'registry.yaml').entities).toMatchObject([{ type }])
})
