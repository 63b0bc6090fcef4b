import { type Action, actionDigest, actionText, saltedHash, sha256 } from '@bailiwick/credentials'
import { systemRandom } from '@bailiwick/kit'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { agentOf, aRule, authority, aWorld, type World } from '../approval.fixture.ts'
import { aPerson, type Person } from '../browser.fixture.ts'

const adjust = { type: 'tool', id: 'invoices/adjust' }
let world: World
let olga: Person
beforeAll(async () => {
  const digestOnly = aRule({ id: 'adjusting', order: 1, match: { resources: [adjust] }, arguments: 'digest_only' })
  world = await aWorld({ moreRules: [digestOnly] })
  olga = aPerson(world)
  expect((await olga.enrol()).status).toBe(200)
})
afterAll(() => world[Symbol.asyncDispose]())

const received = () => world.issuer.projection.ledger.requests.requests
const anAction = (invoice: unknown = 'INV-40', resource = { type: 'tool', id: 'invoices/read' }): Action => ({
  ...{ name: 'tools/call', properties: { invoice }, resource },
})
const saltedOf = (text: string) => ({ salt: Buffer.from(systemRandom(16)).toString('base64url'), text })

interface Ask {
  action?: Action
  /** The text that the agent signs and sends. */
  text?: string | undefined
  sent?: string | undefined
  digest?: string
  more?: object
}

/** Asks for one action. The agent may lie: the text that it signs, the text that it sends and the digest may all differ. */
function ask({ action = anAction(), digest = actionDigest(action), more = {}, ...said }: Ask = {}) {
  const text = 'text' in said ? said.text : actionText(action)
  const words = text === undefined ? undefined : saltedOf(text)
  const signed = words === undefined ? {} : { arguments: { salted_sha256: saltedHash(words) ?? '' } }
  const agent = agentOf(world)
  const { resource } = action
  const request = agent.sign({
    ...{ mode: 'per_action', action_digest: digest, ...signed },
    ...{ authority: { ...authority, permissions: [{ actions: ['tools/call'], resource }] }, ...more },
  })
  const sent = 'sent' in said ? said.sent : words?.text
  return agent.submit(
    request,
    sent === undefined ? {} : { arguments: { salt: words?.salt ?? saltedOf('').salt, text: sent } },
  )
}
const one = actionText(anAction('INV-1'))

it.each<[string, Ask, string]>([
  ['has a digest alone', { text: undefined }, 'arguments_required'],
  ['signs a hash and keeps the words back', { sent: undefined }, 'arguments_mismatch'],
  ['shows INV-1 and names the digest of INV-40', { text: one }, 'arguments_mismatch'],
  ['signs INV-40 and sends INV-1', { sent: one }, 'arguments_mismatch'],
  ['sends words that it did not sign', { text: undefined, sent: one }, 'arguments_required'],
  ['names another text by its digest', { text: `${one} `, digest: sha256(`${one} `) }, 'arguments_mismatch'],
  ['names no action', { text: '{"amount":"1"}', digest: sha256('{"amount":"1"}') }, 'arguments_mismatch'],
  [
    'says one member twice',
    { text: one.replace('{', '{"x":1,"x":1,'), digest: sha256(one.replace('{', '{"x":1,"x":1,')) },
    'arguments_mismatch',
  ],
  ['shows an action that it does not ask for', { action: { ...anAction(), name: 'GET' } }, 'arguments_mismatch'],
  ['is longer than can be shown', { action: anAction('x'.repeat(20_000)) }, 'arguments_too_long'],
  ['belongs to a window', { more: { mode: 'window', action_digest: undefined } }, 'request_malformed'],
])('refuses an ask that %s (V3)', async (_, over, code) => {
  const before = received().size
  const answer = await ask(over)
  expect(answer.json()).toMatchObject({ code })
  expect(received().size).toBe(before)
})

it('names the rule and the remedy if arguments are missing', async () => {
  const { detail } = (await ask({ text: undefined })).json()
  expect(detail).toContain('rule tasks')
  expect(detail).toContain('sign `arguments`')
})

it('shows the text whose hash is the digest, and the statement says that it was shown (V3)', async () => {
  const { task } = (await ask()).json()
  const text = actionText(anAction())
  const { body: detail } = await olga.get(`/requests/${task.id}`)
  expect(detail).toMatchObject({ arguments: { text }, action_digest: sha256(text) })
  const { body } = await olga.statement(task.id)
  expect(body).toMatchObject({ arguments: text, statement: { action_digest: sha256(text), arguments: 'shown' } })
  // Events hold only a salted hash of the text.
  const event = received().get(task.id)?.received
  expect(event).toMatchObject({ arguments: { salted_sha256: expect.any(String) } })
  expect(JSON.stringify(event)).not.toContain('INV-40')
  expect((await olga.approve(task.id)).body).toMatchObject({ grant: 'active' })
})

it('accepts a digest without arguments if the rule says digest_only, and the statement does not say that they were shown', async () => {
  const { task } = (await ask({ action: anAction('INV-1', adjust), text: undefined })).json()
  const { body } = await olga.statement(task.id)
  expect(body).toMatchObject({ arguments: null, statement: { action_digest: expect.any(String) } })
  expect(body.statement).not.toHaveProperty('arguments')
  expect((await olga.get(`/requests/${task.id}`)).body).toMatchObject({ arguments: null })
  expect((await olga.approve(task.id)).body).toMatchObject({ grant: 'active' })
  // Arguments that the agent sends anyway are shown.
  const more = (await ask({ action: anAction('INV-2', adjust) })).json()
  expect((await olga.statement(more.task.id)).body).toMatchObject({ statement: { arguments: 'shown' } })
})

it('renders no statement once the arguments were erased', async () => {
  const { task } = (await ask({ action: anAction('INV-7') })).json()
  const event = received().get(task.id)?.received
  const hash = event?.kind === 'access' ? event.arguments?.salted_sha256 : ''
  const payload = { reason: 'secret', values: [{ attachment_id: `att_${hash}`, about: task.id }] }
  const erased = await world.operator.inject({ method: 'POST', url: '/operator/values/erase', payload })
  expect(erased.statusCode, erased.body).toBeLessThan(300)
  expect((await olga.get(`/requests/${task.id}`)).body).toMatchObject({
    ...{ arguments: { gone: 'erased' }, may_approve: false, why_not: 'arguments_gone' },
  })
  expect((await olga.statement(task.id)).body).toMatchObject({ code: 'arguments_gone' })
})
