import { generateKey, signInvitation } from '@bailiwick/credentials'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { aWorld, type World } from '../approval.fixture.ts'
import { aPerson } from '../browser.fixture.ts'

let world: World
beforeAll(async () => {
  world = await aWorld()
})
afterAll(() => world[Symbol.asyncDispose]())

const enrolled = () => world.issuer.projection.ledger.registry.view().enrolled

it.each([
  ['another passkey', { credential_id: 'AAAA' }],
  ['another key', { public_key: 'AAAA' }],
  ['another person', { approver_id: 'paul' }],
  ['another installation', { installation: 'ins_0000000000' }],
])('refuses an invitation that was signed for %s, and enrols no one', async (_, over) => {
  expect((await aPerson(world).enrol('olga', over)).body).toMatchObject({ code: 'invitation_invalid' })
  expect(enrolled()).toBe(false)
})

it('refuses an invitation by another key, and a ceremony that was used (V10)', async () => {
  const person = aPerson(world)
  const offered = (await person.post('/enrolment/options', { approver_id: 'olga', name: 'Olga' })).body as never as {
    enrolment_id: string
    options: { challenge: string }
    invitation: { installation: string; approver_id: string; name: string; groups: string[] }
  }
  const { enrolment_id } = offered
  const response = person.passkey.register(offered.options.challenge)
  const facts = { ...offered.invitation, credential_id: person.passkey.id, public_key: person.passkey.publicKey }
  const forged = signInvitation(facts, generateKey('invitation'))
  expect((await person.post('/enrolment', { enrolment_id, response, invitation: forged })).body).toMatchObject({
    code: 'invitation_invalid',
  })
  const genuine = signInvitation(facts, world.invitation)
  expect((await person.post('/enrolment', { enrolment_id, response, invitation: genuine })).body).toMatchObject({
    code: 'statement_unknown',
  })
  expect(enrolled()).toBe(false)
})

it('refuses a passkey that was made on another page, or without verifying its user', async () => {
  for (const said of [{ origin: 'http://localhost:9999' }, { rpId: 'evil.example' }, { userVerified: false }]) {
    const person = aPerson(world)
    const offered = (await person.post('/enrolment/options', { approver_id: 'olga', name: 'Olga' })).body as never as {
      enrolment_id: string
      options: { challenge: string }
      invitation: { installation: string; approver_id: string; name: string; groups: string[] }
    }
    const response = person.passkey.register(offered.options.challenge, said)
    const facts = { ...offered.invitation, credential_id: person.passkey.id, public_key: person.passkey.publicKey }
    const invitation = signInvitation(facts, world.invitation)
    const { enrolment_id } = offered
    expect((await person.post('/enrolment', { enrolment_id, response, invitation })).body).toMatchObject({
      code: 'registration_invalid',
    })
  }
  expect(enrolled()).toBe(false)
})

it('makes the first approver of exactly the passkey that the invitation signed for, once (V10)', async () => {
  const { installation } = world.trust
  const hello = {
    enrolled: false,
    single_operator: true,
    software_approver: false,
    installation,
    rp_id: 'localhost',
  }
  const olga = aPerson(world)
  expect((await olga.get('/hello')).body).toEqual(hello)
  expect((await olga.enrol()).body).toEqual({ me: { id: 'olga', name: 'Olga', groups: ['owners'] } })
  expect((await olga.get('/state')).status).toBe(200)
  expect((await olga.get('/hello')).body).toEqual({ ...hello, enrolled: true })
  const second = aPerson(world)
  expect((await second.enrol('paul')).body).toMatchObject({ code: 'invitation_invalid' })
  expect((await second.get('/state')).status).toBe(401)
})
