import { randomBytes } from 'node:crypto'
import { signAccessRequest } from '@bailiwick/credentials'
import { sample, sampleAuthority, sampleKey } from '@bailiwick/standalone/sample'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Point } from '../e2e/agent-side.ts'
import { answered, answering, eventually, Scene, undecided } from './scene.ts'

// An agent that is held to some arguments looks for values, and for arguments, that its permission did not mean.

let scene: Scene
let point: Point
beforeAll(async () => {
  scene = await Scene.open()
  point = new Point({ ...scene.system, http: scene.system.host.http })
}, 60_000)
afterAll(async () => {
  const { findings } = await scene.audited()
  await scene[Symbol.asyncDispose]()
  expect(findings).toEqual([])
})

const tool = { type: 'tool', id: `${sample.toolServer}/read` }
let tasks = 0
/** The tool, with its arguments held. */
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

/** `ok`, or the reason of the denial: what the decision point says of a call of any arguments. */
async function call(grantId: string, properties: Record<string, unknown>): Promise<string> {
  const { token } = await answered(() => scene.agent().credential({ grantId }))
  const htu = `${scene.system.invoicesUrl}/tools`
  return eventually('it is decided', async () => {
    const ask = { credential: token, tool: 'read', properties, proof: { htu }, observed: { htu } }
    const { decision, reason = '' } = await answered(() => point.call(ask))
    return undecided.has(reason) ? undefined : decision ? 'ok' : reason
  })
}

/** An ask that an agent signed by itself, without the SDK, which would refuse it; the code of the answer. */
async function submitted(authority: object): Promise<string> {
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
      ...{ action: { name: 'tools/call' }, resource: tool, bailiwick: { request } },
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
    ...['..\\..\\etc', 'a.pdf\0.txt', '.\t./.\t./etc', '/etc/shadow', '.. /etc', '..;x/etc', '%c0%ae%c0%ae/etc'],
  ])
    expect([outside, await call(grantId, { path: `/srv/reports/${outside}` })]).toEqual([
      outside,
      'argument_out_of_bounds',
    ])
})

it('no person is asked for a prefix that looks like a folder and is none (V5)', async () => {
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
