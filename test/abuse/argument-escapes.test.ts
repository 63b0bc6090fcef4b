import { randomBytes } from 'node:crypto'
import type { Rule } from '@bailiwick/contracts'
import { signAccessRequest } from '@bailiwick/credentials'
import { sample, sampleAuthority, sampleKey } from '@bailiwick/standalone/sample'
import type { SystemOptions } from '@bailiwick/testkit'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Point } from '../e2e/agent-side.ts'
import { answered, answering, eventually, Scene, undecided } from './scene.ts'

// The agent's permission restricts some arguments. The agent tries values and extra arguments that the permission did
// not mean.

/** A rule under which `adjust` may be requested only with closed permissions and a list of delegates. */
const strict: Rule = {
  id: 'adjusting',
  order: 1,
  match: { resources: [{ type: 'tool', id: `${sample.toolServer}/adjust` }] },
  approvers: { group: sample.group, quorum: 1 },
  owner_may_approve: true,
  modes: ['window'],
  max_window_seconds: 3600,
  narrowing: true,
  closed_permissions: true,
  listed_delegates: true,
}
const withStrictRule: NonNullable<SystemOptions['entities']> = (entities) => [
  ...entities,
  { type: 'rule', value: strict },
]

let scene: Scene
let point: Point
beforeAll(async () => {
  scene = await Scene.open({ entities: withStrictRule })
  point = new Point({ ...scene.system, http: scene.system.host.http })
})
afterAll(async () => {
  const { findings } = await scene.audited()
  await scene[Symbol.asyncDispose]()
  expect(findings).toEqual([])
})

const tool = { type: 'tool', id: `${sample.toolServer}/read` }
let tasks = 0
/** The tool, with restricted arguments. */
const holding = (permission: object) => ({
  ...sampleAuthority,
  task: `escape-${++tasks}`,
  permissions: [{ actions: ['tools/call'], resource: tool, ...permission }],
})

async function granted(permission: object): Promise<string> {
  const requestId = await scene.asked(scene.agent(), holding(permission))
  const { grant_id: grantId } = await answered(() => scene.approver.approve(requestId))
  return grantId ?? ''
}

/** `ok`, or the reason of the denial: the decision point's answer to a call with any arguments. */
async function call(grantId: string, properties: Record<string, unknown>): Promise<string> {
  const { token } = await answered(() => scene.agent().credential({ grantId }))
  const htu = `${scene.system.invoicesUrl}/tools`
  return eventually('it is decided', async () => {
    const ask = { credential: token, tool: 'read', properties, proof: { htu }, observed: { htu } }
    const { decision, reason = '' } = await answered(() => point.call(ask))
    return undecided.has(reason) ? undefined : decision ? 'ok' : reason
  })
}

type Permissions = { actions: string[]; resource: object; max_uses?: number }[]

/** The members that the profile requires next to the signed request. */
function itemsOf({ permissions }: { permissions: Permissions }): object {
  const [first, ...others] = permissions.map(({ actions: [name], resource }) => ({ action: { name }, resource }))
  return others.length === 0 ? { ...first } : { items: [first, ...others] }
}

/** Sends a request that the agent signed without the SDK, which would refuse it. Returns the code of the answer. */
async function submitted(authority: Parameters<typeof itemsOf>[0]): Promise<string> {
  const iat = Math.floor(Date.now() / 1000)
  const agent = scene.agent()
  const claims = { aud: scene.system.trust.installation, sub: agent.id, iat, exp: iat + 600, authority }
  const request = signAccessRequest(
    { ...claims, jti: randomBytes(16).toString('base64url'), mode: 'window', expires_in_seconds: 600 } as never,
    sampleKey(scene.system.data, 'reconciler'),
  )
  const response = await answering(`${scene.url}/access/v1/requests`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      subject: { type: 'agent', id: agent.id },
      ...{ ...itemsOf(authority), bailiwick: { request } },
    }),
  })
  const { code, task } = (await response.json()) as { code?: string; task?: { id: string } }
  if (task) await answered(() => agent.cancel(task.id))
  return code ?? 'received'
}

it('no value leaves the folder that was approved, however it is spelled (V5)', async () => {
  const grantId = await granted({ where: { '/path': { prefix: '/srv/reports/' } } })
  for (const inside of ['2025/q3.pdf', '..a/b', 'a%20b'])
    expect([inside, await call(grantId, { path: `/srv/reports/${inside}` })]).toEqual([inside, 'ok'])
  for (const outside of [
    ...['../../etc/shadow', '..', './../a', '%2e%2e/%2E%2E/etc/shadow', '..%2f..%2fetc', '%252e%252e/a', '%%32e./a'],
    ...[
      '..\\..\\etc',
      'a.pdf\0.txt',
      '.\t./.\t./etc',
      '/etc/shadow',
      '.. /etc',
      '%20../etc',
      '..+/etc',
      '..;x/etc',
      '%c0%ae%c0%ae/etc',
    ],
  ])
    expect([outside, await call(grantId, { path: `/srv/reports/${outside}` })]).toEqual([
      outside,
      'argument_out_of_bounds',
    ])
})

it('a closed permission admits no argument that it does not name, and a maximum admits no negative amount (V5)', async () => {
  const where = { '/amount': { max: '500' }, '/to/iban': { eq: 'DE1' } }
  const [open, closed] = [await granted({ where }), await granted({ where, arguments: 'closed' })]
  const meant = { amount: '10', to: { iban: 'DE1' } }
  for (const grantId of [open, closed]) {
    expect(await call(grantId, meant)).toBe('ok')
    for (const amount of [-10_000, '-0.01'])
      expect([amount, await call(grantId, { ...meant, amount })]).toEqual([amount, 'argument_out_of_bounds'])
  }
  for (const more of [
    { force: true },
    { note: null },
    { options: {} },
    { list: [] },
    { '': 'x' },
    { to: { iban: 'DE1', bic: 'X' } },
    { 'to/iban': 'DE2' },
  ])
    expect([more, await call(open, { ...meant, ...more }), await call(closed, { ...meant, ...more })]).toEqual([
      more,
      'ok',
      'argument_out_of_bounds',
    ])
})

it('a request with less than the rule requires reaches no approver, and the refusal says what to add (V3)', async () => {
  const adjust = { actions: ['tools/call'], resource: { type: 'tool', id: `${sample.toolServer}/adjust` } }
  const asked = (permissions: Permissions, more: object = {}) => submitted({ ...holding({}), permissions, ...more })
  const closed = { ...adjust, where: { '/amount': { max: '5' } }, arguments: 'closed' }
  const delegable = { max_depth: 1, max_children: 1 }
  expect(await asked([adjust])).toBe('approval_rule_mismatch')
  expect(await asked([closed, { ...adjust, max_uses: 1 }])).toBe('approval_rule_mismatch')
  expect(await asked([...holding({}).permissions, adjust])).toBe('approval_rule_mismatch') // also when split by rules
  expect(await asked([closed], delegable)).toBe('approval_rule_mismatch')
  expect(await asked([closed])).toBe('received')
  expect(await asked([closed], { ...delegable, delegates: [] })).toBe('received')
})

it('a prefix that only looks like a folder reaches no approver (V3, V5)', async () => {
  for (const prefix of [
    '/srv/reports',
    'reports/2025',
    '~',
    'C:\\reports\\',
    'https://erp.example',
    '/srv/../',
    './a/',
  ]) {
    const authority = holding({ where: { '/path': { prefix } } })
    expect([prefix, await submitted(authority)]).toEqual([prefix, 'prefix_not_a_path'])
    const ask = { authority, mode: 'window', expiresInSeconds: 600 } as never
    expect(() => scene.agent().signRequest(ask)).toThrow(expect.objectContaining({ code: 'prefix_not_a_path' }))
  }
  for (const prefix of ['INV-', '/srv/reports/', 'https://erp.example/'])
    expect([prefix, await submitted(holding({ where: { '/path': { prefix } } }))]).toEqual([prefix, 'received'])
})
