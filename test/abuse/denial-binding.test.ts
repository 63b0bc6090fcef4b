import { type Agent, type Denial, denialOf } from '@bailiwick/agent'
import {
  type BindingToken,
  claimedKeyId,
  exportPrivateKey,
  generateKey,
  importPrivateKey,
  type SigningKey,
  signBindingToken,
  verifyServiceKeyCertificate,
} from '@bailiwick/credentials'
import { sample, sampleAuthority } from '@bailiwick/standalone/sample'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { answered, eventually, Scene } from './scene.ts'

let scene: Scene
let denial: Denial
let token: BindingToken
const action = 'tools/call'
const resource = { type: 'tool', id: `${sample.toolServer}/read` }

beforeAll(async () => {
  scene = await Scene.open()
  denial = await denied()
  token = JSON.parse(Buffer.from(denial.bindingToken.split('.')[1] ?? '', 'base64url').toString())
})
afterAll(() => scene[Symbol.asyncDispose]())

/** Makes a call that the agent's grant does not cover. Returns the answer. */
async function denied(agent = scene.agent(), tool = 'delete'): Promise<Denial> {
  const { grantId } = await granted(agent)
  const on = { type: 'tool', id: `${sample.toolServer}/${tool}` }
  const call = { grant: { grantId }, action, resource: on, properties: { invoice: 'INV-1' } }
  const response = await agent.fetch(`${scene.invoices.url}/${tool}`, { method: 'POST' }, call)
  const read = await denialOf(response, call)
  if (read === undefined) throw new Error(`not requestable: ${await response.text()}`)
  return read
}

let length = 600
async function granted(agent: Agent) {
  const authority = only(['read'])
  const { requestId } = await agent.request({ authority, mode: 'window', expiresInSeconds: ++length } as never)
  const { grant_id: grantId } = await scene.approver.approve(requestId)
  return { grantId: grantId ?? '' }
}

function only(tools: string[]) {
  const permissions = tools.map((tool) => ({
    actions: [action],
    resource: { ...resource, id: `${sample.toolServer}/${tool}` },
  }))
  return { ...sampleAuthority, permissions }
}

/** Approval's answer to a request that answers these denials. Each request is for another duration, so that approval folds no two of them. */
async function ask(answering: Denial | Denial[], over: object = {}, agent = scene.agent()): Promise<string> {
  const authority = only(['read', 'delete'])
  const signed = agent.signRequest({
    authority,
    mode: 'window',
    expiresInSeconds: ++length,
    answering,
    ...over,
  } as never)
  return answered(() => agent.request(signed)).then(
    async ({ requestId }) => {
      await answered(() => agent.cancel(requestId))
      return 'received'
    },
    (error: { code?: string }) => String(error.code),
  )
}

const pdpKey = () => scene.system.host.key('policy-decision', 'binding-token', 'binding-token')
const forged = (over: Partial<BindingToken>, key: SigningKey<'binding-token'> = pdpKey()): Denial => {
  const claims = { ...token, jti: `dec_${crypto.randomUUID().replaceAll('-', '')}`, ...over }
  const { decisionId: _, ...rest } = denial
  return { ...rest, bindingToken: signBindingToken(claims, key), expiresAt: new Date(claims.exp * 1000).toISOString() }
}

it('discovery publishes where to send a request, and the key that verifies a denial', async () => {
  const metadata = (await (await fetch(`${scene.url}/.well-known/authzen-configuration`)).json()) as Record<
    string,
    never
  >
  expect(metadata).toMatchObject({
    access_request_endpoint: `${scene.url}/access/v1/requests`,
    capabilities: ['urn:openid:authzen:capability:access-request'],
  })
  const { keys } = (await (await fetch(String(metadata.jwks_uri))).json()) as {
    keys: { kid: string; certificate: string }[]
  }
  const published = keys.find(({ kid }) => kid === claimedKeyId(denial.bindingToken))
  const installation = scene.system.host.trust.installation
  const root = scene.pdp.keyRing.root
  const certified = verifyServiceKeyCertificate({ certificate: published?.certificate ?? '', key: root, installation })
  expect(certified).toMatchObject({ ok: true, value: { purpose: 'binding-token', service: 'policy-decision' } })
})

it('the honest agent’s ask is bound to its denial, on the log', async () => {
  const fresh = await denied()
  const agent = scene.agent()
  const signed = agent.signRequest({
    authority: only(['delete']),
    mode: 'window',
    expiresInSeconds: ++length,
    answering: fresh,
  })
  const { requestId } = await agent.request(signed)
  expect(scene.ledger.requests.requests.get(requestId)?.received).toMatchObject({
    denial: { decision_id: fresh.decisionId },
  })
  // The event of a denial is published after its answer.
  const event = await eventually('its denial is on the log', async () =>
    (await scene.events('decisions.v1')).find(({ subject }) => subject === fresh.decisionId),
  )
  expect(event.type).toBe('decision.denied')
  // A second request, for something else, from the same denial.
  expect(await ask(fresh)).toBe('denial_binding_invalid')
  await agent.cancel(requestId)
})

const flip = (text: string, at: number) => `${text.slice(0, at)}${text[at] === 'A' ? 'B' : 'A'}${text.slice(at + 1)}`
const seconds = () => Math.floor(Date.now() / 1000)

it.each<[string, () => Denial | Denial[], string]>([
  [
    'whose signature was altered',
    () => ({ ...denial, bindingToken: flip(denial.bindingToken, denial.bindingToken.length - 9) }),
    'denial_binding_invalid',
  ],
  [
    'whose claims were altered',
    () => ({ ...denial, bindingToken: flip(denial.bindingToken, denial.bindingToken.indexOf('.') + 9) }),
    'denial_binding_invalid',
  ],
  ['by an unknown key', () => forged({}, generateKey('binding-token')), 'denial_binding_invalid'],
  [
    'by the permit key, which signs no denials',
    () => {
      const permit = exportPrivateKey(scene.system.host.key('policy-decision', 'permit', 'permit').current)
      return forged({}, importPrivateKey('binding-token', permit) ?? generateKey('binding-token'))
    },
    'denial_binding_invalid',
  ],
  ['of another installation', () => forged({ aud: 'ins_0123456789abcdef' }), 'denial_binding_invalid'],
  ['of another instance', () => forged({ sub: `${scene.agent('forecaster').id}` }), 'denial_binding_invalid'],
  ['that is over', () => forged({ iat: seconds() - 700, exp: seconds() - 100 }), 'denial_expired'],
  ['from the future', () => forged({ iat: seconds() + 100, exp: seconds() + 700 }), 'denial_expired'],
  ['whose expiry was moved', () => ({ ...denial, expiresAt: '2099-01-01T00:00:00.000Z' }), 'denial_binding_invalid'],
  [
    'under the name of another decision',
    () => ({ ...denial, decisionId: `dec_${'1'.repeat(26)}` }),
    'denial_binding_invalid',
  ],
  ['with another reason than it had', () => ({ ...denial, reason: 'budget_exhausted' }), 'denial_binding_invalid'],
  ['of another action', () => ({ ...denial, resource }), 'denial_binding_invalid'],
  ['of an action that could not be read', () => forged({ action: undefined }), 'denial_binding_invalid'],
  [
    'under a grant that the request does not name',
    () => forged({ grant: `grt_${'A'.repeat(43)}` }),
    'denial_binding_invalid',
  ],
])('a denial %s is not answered (V12)', async (_, make, code) => {
  expect(await ask(make())).toBe(code)
})

it('a denial belongs only to the agent whose signature covers its hash', async () => {
  const agent = scene.agent()
  const plain = agent.signRequest({ authority: only(['delete']), mode: 'window', expiresInSeconds: ++length })
  const refused = (request: Promise<unknown>) =>
    expect(request).rejects.toMatchObject({ code: 'denial_binding_invalid' })
  await refused(agent.request({ ...plain, denials: [denial] }))
  // The hash is signed but the denial is not shown, or another denial is shown.
  const { denials: __, ...bare } = agent.signRequest({
    ...{ authority: only(['delete']), mode: 'window', expiresInSeconds: ++length },
    answering: denial,
  })
  await refused(agent.request(bare))
  await refused(agent.request({ ...bare, denials: [forged({})] }))
  // Another agent intercepted the denial.
  expect(await ask(denial, {}, scene.agent('forecaster'))).toBe('denial_binding_invalid')
})

it('a denial of one action cannot request approval of another', async () => {
  const one = (invoice: string) => ({
    ...{ authority: only(['delete']), mode: 'per_action' },
    action: { name: action, properties: { invoice }, resource: { ...resource, id: `${sample.toolServer}/delete` } },
  })
  const over = one('INV-2')
  expect(await ask(denial, over)).toBe('denial_binding_invalid')
  expect(await ask(denial, one('INV-1'))).toBe('received')
  // Nor can it request a step-up of a grant that the denial does not name.
  expect(await ask(forged({}), { ...over, grantId: `grt_${'A'.repeat(43)}` })).toBe('denial_binding_invalid')
  const grant = `grt_${'A'.repeat(43)}`
  const step = { ...one('INV-1'), grantId: grant }
  expect(await ask(forged({ grant, reason: 'action_not_granted' }), step)).toBe('grant_unknown')
})

it('each of several denials covers its own item', async () => {
  const other = forged({ action: token.action && { ...token.action, resource } })
  const both = [{ ...other, resource }, forged({})]
  expect(await ask(both)).toBe('received')
  expect(await ask([both[1], both[0]] as Denial[])).toBe('submission_contradicted')
  expect(await ask([forged({}), forged({})])).toBe('submission_contradicted')
})

it('the log records exactly what happened', async () => {
  expect((await scene.audited()).findings).toEqual([])
})
