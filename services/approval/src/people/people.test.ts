import type { Approver, Recovery } from '@bailiwick/contracts'
import { generateKey, jcsHash, type SigningKey, signGenesisStatement, signInvitation } from '@bailiwick/credentials'
import type { Draft } from '@bailiwick/instance'
import { testClock } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { answering, aWorld, type World } from '../approval.fixture.ts'
import { aPerson, type Person } from '../browser.fixture.ts'

type Json = Record<string, unknown>
const dayMs = 24 * 3600 * 1000

interface Offer {
  enrolment_id: string
  options: { challenge: string; excludeCredentials: { id: string }[] }
  invitation: { installation: string; approver_id: string; name: string; groups: string[] }
}

/** Governing takes two people, neither of them alone. Olga is enrolled. */
async function aStrictWorld(options: Parameters<typeof aWorld>[0] = {}) {
  const world = await aWorld({ singleOperator: false, ...options })
  const olga = aPerson(world)
  expect((await olga.enrol()).status).toBe(200)
  return { world, olga, registry: world.issuer.projection.ledger.registry }
}

const paul = { approver_id: 'paul', name: 'Paul', groups: ['owners'] }

async function invited(by: Person, person: Json = paul): Promise<{ code: string; link: string }> {
  const { status, body } = await by.post('/invitations', person)
  expect(status).toBe(200)
  return body as never
}

/** Does what the page does when a person opens a colleague's link. */
async function accept(person: Person, code: string) {
  const offered = await person.post('/enrolment/options', { code })
  if (offered.status !== 200) return offered
  const { enrolment_id, options } = offered.body as never as Offer
  return person.post('/enrolment', { enrolment_id, response: person.passkey.register(options.challenge), code })
}

it('an invited person registers a passkey, which counts only once people approved exactly that one (V3)', async () => {
  const { world, olga, registry } = await aStrictWorld()
  await using _ = world
  const { code, link } = await invited(olga)
  expect(link).toBe(`http://localhost:8421/#invite=${code}`)
  const him = aPerson(world)
  const { enrolment_id } = (await him.post('/enrolment/options', { code })).body as never as Offer
  expect(enrolment_id).toMatch(/^enr_/)
  const accepted = await accept(him, code)
  expect(accepted).toMatchObject({ status: 200, body: { by: 'olga', diff: [{ verb: 'register', id: 'paul' }] } })
  expect([him.cookie, registry.get('approver', 'paul')]).toEqual([undefined, undefined])
  expect((await accept(aPerson(world), code)).body).toMatchObject({ code: 'invitation_invalid' }) // once (V10)

  const { request_id } = accepted.body as { request_id: string }
  const shown = (await olga.get('/state')).body as { changes: { id: string; proposer: string }[] }
  expect(shown.changes).toMatchObject([{ id: request_id, proposer: 'olga' }])
  expect((await olga.approve(request_id)).body).toEqual({ status: 'approved', applied: true }) // the second approver, by one person alone
  await expect.poll(() => registry.get('approver', 'paul')).toMatchObject({ name: 'Paul', groups: ['owners'] })
  expect((await him.signIn()).status).toBe(200)

  // The third needs a person other than the inviter.
  const third = await accept(aPerson(world), (await invited(him, { ...paul, approver_id: 'vera', name: 'Vera' })).code)
  const { request_id: next } = third.body as { request_id: string }
  expect((await him.approve(next)).body).toMatchObject({ status: 'endorsed' })
  expect(registry.get('approver', 'vera')).toBeUndefined()
  expect((await olga.approve(next)).body).toEqual({ status: 'approved', applied: true })
})

it('an approver who takes the link that a colleague made for another person does not become two people (V3)', async () => {
  const { world, olga, registry } = await aStrictWorld()
  await using _ = world
  const him = aPerson(world)
  const second = await accept(him, (await invited(olga)).code)
  await olga.approve(String((second.body as Json).request_id))
  expect((await him.signIn()).status).toBe(200)

  // Paul invites Vera; Olga sees the link in the chat, and opens it first, with another passkey of her own.
  const { code } = await invited(him, { approver_id: 'vera', name: 'Vera', groups: ['owners'] })
  const stolen = String(((await accept(aPerson(world), code)).body as Json).request_id)
  expect((await him.get(`/requests/${stolen}`)).body).toMatchObject({ rule: { quorum: 2 } })
  expect((await olga.approve(stolen)).body).toMatchObject({ status: 'endorsed', endorsements: 1 })
  await expect.poll(() => registry.get('approver', 'paul')).toBeDefined()
  // A further passkey of Paul's does not help either, under any proposer that the operator names.
  const value = registry.get('approver', 'paul') as Approver
  const [passkey] = (registry.get('approver', 'olga') as Approver).credentials
  const { id: credential_id, publicKey: public_key } = aPerson(world).passkey
  const credentials = [...value.credentials, { ...passkey, credential_id, public_key }]
  const entities = [{ type: 'approver', id: 'paul', value: { ...value, credentials } }]
  const payload = { proposer: 'carl', entities }
  const proposed = await world.operator.inject({ method: 'POST', url: '/operator/registry/changes', payload })
  expect((await olga.approve(proposed.json().request_id)).body).toMatchObject({ status: 'endorsed' })
  expect([registry.get('approver', 'vera'), registry.record('approver', 'paul')?.version]).toEqual([undefined, 1])
})

it('an invitation is for its person alone, ends, and can only be made by a signed-in person (V10)', async () => {
  const clock = testClock(0)
  const { world, olga } = await aStrictWorld({ clock })
  await using _ = world
  expect((await aPerson(world).post('/invitations', paul)).status).toBe(401)
  expect((await olga.post('/invitations', { ...paul, approver_id: 'olga' })).body).toMatchObject({
    code: 'registry_change_conflict',
  })
  const [one, other] = [await invited(olga), await invited(olga, { ...paul, approver_id: 'vera' })]
  const him = aPerson(world)
  const { enrolment_id, options } = (await him.post('/enrolment/options', { code: one.code })).body as never as Offer
  const response = him.passkey.register(options.challenge)
  expect((await him.post('/enrolment', { enrolment_id, response, code: other.code })).body).toMatchObject({
    code: 'invitation_invalid',
  })
  clock.advance(30 * 60 * 1000)
  await answering(world)
  expect((await accept(him, one.code)).body).toMatchObject({ code: 'invitation_invalid' })
})

it('adds a passkey of one’s own, and retires one, by a change that people answer; never the only one (V3)', async () => {
  const world = await aWorld()
  await using _ = world
  const olga = aPerson(world)
  await olga.enrol()
  const registry = world.issuer.projection.ledger.registry
  const only = olga.passkey.id
  expect((await olga.post(`/passkeys/${only}/retire`)).body).toMatchObject({ code: 'registry_change_refused' })
  expect((await olga.post('/passkeys/AAAA/retire')).body).toMatchObject({ code: 'entity_unknown' })
  expect((await aPerson(world).post('/passkeys/options')).status).toBe(401)

  const { enrolment_id, options } = (await olga.post('/passkeys/options')).body as never as Offer
  expect(options.excludeCredentials).toMatchObject([{ id: only }])
  const fresh = aPerson(world)
  const response = fresh.passkey.register(options.challenge)
  const added = await olga.post('/passkeys', { enrolment_id, response })
  expect(registry.get('approver', 'olga')?.credentials).toHaveLength(1)
  expect((await olga.approve(String(added.body.request_id))).body).toMatchObject({ applied: true })
  await expect.poll(() => registry.passkey(fresh.passkey.id)?.approver.id).toBe('olga')
  expect((await fresh.signIn()).status).toBe(200)

  const retired = await fresh.post(`/passkeys/${only}/retire`)
  expect((await olga.get('/people')).status).toBe(200)
  expect((await fresh.approve(String(retired.body.request_id))).body).toMatchObject({ applied: true })
  expect((await olga.get('/people')).status).toBe(401) // the passkey that she signed in with no longer counts
  expect((await fresh.get('/people')).body).toMatchObject({
    single_operator: true,
    approvers: [{ id: 'olga', passkeys: 1 }],
    my_passkeys: [{ credential_id: fresh.passkey.id }],
    groups: [{ id: 'owners', members: [{ id: 'olga' }], rules: expect.arrayContaining([{ id: 'tasks', quorum: 1 }]) }],
    recoveries: [],
  })
  expect((await olga.signIn()).body).toMatchObject({ code: 'approver_unknown' })
})

it('begins a passkey in one session and finishes it in no other (V3)', async () => {
  const { world, olga } = await aStrictWorld()
  await using _ = world
  const { code } = await invited(olga)
  const him = aPerson(world)
  const { enrolment_id, options } = (await him.post('/enrolment/options', { code })).body as never as Offer
  const response = him.passkey.register(options.challenge)
  expect((await olga.post('/passkeys', { enrolment_id, response })).body).toMatchObject({ code: 'invitation_invalid' })
})

/** Does what the issuer does on the operator's word; the root signed it. */
async function registerRecovery({ issuer, trust, root }: World, key: SigningKey<'invitation'>): Promise<Recovery> {
  const value = { id: 'rcv-1', jwk: key.publicJwk, approver_id: 'olga', name: 'Olga', groups: ['owners'] } as Recovery
  const hash = jcsHash(value)
  const statement = { entity_type: 'recovery', entity_id: value.id, version: 1, after: hash }
  const jws = signGenesisStatement({ installation: trust.installation, ...statement }, root)
  await issuer.producer.publishOne('registry.v1', {
    type: 'recovery.registered',
    subject: `recovery ${value.id}`,
    version: 1,
    data: { entity: { type: 'recovery', id: value.id }, value, hash, authorization: { kind: 'root', jws } },
  } as Draft<'registry.v1'>)
  return value
}

/** Does what the page does when a person opens a recovery's address. */
async function recover(person: Person, key: SigningKey<'invitation'>, over: Json = {}) {
  const recovery = 'rcv-1'
  const offered = await person.post('/enrolment/options', { recovery })
  if (offered.status !== 200) return offered
  const { enrolment_id, options, invitation: facts } = offered.body as never as Offer
  const { id: credential_id, publicKey: public_key } = person.passkey
  const response = person.passkey.register(options.challenge)
  const invitation = signInvitation({ ...facts, credential_id, public_key, ...over }, key)
  return person.post('/enrolment', { enrolment_id, response, invitation, recovery })
}

it('a recovery gives its one person a passkey after 24 h, once, in place of those that were lost (V3, V10)', async () => {
  const clock = testClock(0)
  const { world, olga, registry } = await aStrictWorld({ clock })
  await using _ = world
  const key = generateKey('invitation')
  const anew = aPerson(world)
  expect((await recover(anew, key)).body).toMatchObject({ code: 'invitation_invalid' }) // no recovery exists yet
  await registerRecovery(world, key)
  const pending = async () =>
    ((await olga.get('/people')).body as { recoveries: { id: string; usable_from: string }[] }).recoveries
  await expect.poll(pending).toMatchObject([{ id: 'rcv-1', approver_id: 'olga' }])
  const waits = Date.parse((await pending())[0]?.usable_from ?? '') - Date.now()
  expect(waits / 3_600_000).toBeCloseTo(24, 1)

  clock.advance(dayMs - 60_000)
  await answering(world)
  expect((await recover(anew, key)).body).toMatchObject({ code: 'invitation_invalid' })
  clock.advance(120_000)
  await answering(world)
  expect((await recover(anew, generateKey('invitation'))).body).toMatchObject({ code: 'invitation_invalid' })
  for (const over of [{ groups: ['owners', 'more'] }, { approver_id: 'eve' }])
    expect((await recover(anew, key, over)).status).toBeGreaterThanOrEqual(400)
  expect(registry.passkey(olga.passkey.id)).toBeDefined()

  expect((await recover(anew, key)).body).toEqual({ me: { id: 'olga', name: 'Olga', groups: ['owners'] } })
  const kept = () => (registry.get('approver', 'olga') as Approver).credentials
  await expect.poll(kept).toMatchObject([{ credential_id: anew.passkey.id }])
  expect(await anew.get('/people')).toMatchObject({ status: 200, body: { recoveries: [] } })
  expect((await recover(aPerson(world), key)).body).toMatchObject({ code: 'invitation_invalid' })
  expect(registry.passkey(olga.passkey.id)).toBeUndefined()
})

it('the remaining people can retire a recovery, which then lets no one in (V3)', async () => {
  const clock = testClock(0)
  const { world, olga, registry } = await aStrictWorld({ clock })
  await using _ = world
  const key = generateKey('invitation')
  await registerRecovery(world, key)
  expect((await olga.post('/recoveries/rcv-2/retire')).body).toMatchObject({ code: 'entity_unknown' })
  // No other person could sign: the others have lost their passkeys.
  const hers = await olga.post('/recoveries/rcv-1/retire')
  expect(hers.body).toMatchObject({ diff: [{ type: 'recovery', id: 'rcv-1', verb: 'retire' }] })
  const { request_id } = hers.body as { request_id: string }
  const { body } = await olga.get(`/requests/${request_id}`)
  expect(body).toMatchObject({ may_approve: true, rule: { group: null, quorum: 1 } })
  expect((await olga.approve(request_id)).body).toMatchObject({ applied: true })
  await expect.poll(() => registry.view().recoveries.size).toBe(0)
  clock.advance(dayMs + 60_000)
  await answering(world)
  expect((await recover(aPerson(world), key)).body).toMatchObject({ code: 'invitation_invalid' })
})
