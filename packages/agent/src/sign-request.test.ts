import { accessRequestsV1, decodeEvent } from '@bailiwick/contracts'
import { sha256 } from '@bailiwick/credentials'
import { describe, expect, it } from 'vitest'
import { authority, FakeInstallation } from './installation.fixture.ts'

const ask = { authority, mode: 'window', expiresInSeconds: 3600 } as const

describe('an access request', () => {
  it('is signed by the instance for this installation, with the hash of its words and not the words', async () => {
    await using fake = await FakeInstallation.start()
    const signed = fake.agent().signRequest({ ...ask, purpose: 'Reconcile the invoices.' })
    const verified = fake.verifyRequest(signed.jws)
    expect(verified).toMatchObject({ ok: true, value: { authority, mode: 'window', expires_in_seconds: 3600 } })
    const { salt = '', text = '' } = signed.purpose ?? {}
    expect(Buffer.from(salt, 'base64url')).toHaveLength(16)
    const hash = sha256(Buffer.concat([Buffer.from(salt, 'base64url'), Buffer.from(text)]))
    expect(verified).toMatchObject({ value: { purpose: { salted_sha256: hash } } })
    expect(Buffer.from(signed.jws.split('.')[1] ?? '', 'base64url').toString()).not.toContain('Reconcile the')
  })

  it('becomes an event that the contracts take, the same one however often it is made', async () => {
    await using fake = await FakeInstallation.start()
    const agent = fake.agent()
    const signed = agent.signRequest({ ...ask, purpose: 'why' })
    const { key, bytes } = agent.accessRequestEvent(signed)
    expect(decodeEvent(accessRequestsV1, bytes)).toMatchObject({
      ok: true,
      event: {
        type: 'access-request.submitted',
        subject: key,
        source: agent.id,
        data: { request: signed.jws, purpose: signed.purpose },
      },
    })
    expect(key).toBe(`req_${sha256(signed.jws)}`)
    expect(agent.accessRequestEvent(signed)).toEqual({ key, bytes })
  })

  it('for two equal wishes is two requests', async () => {
    await using fake = await FakeInstallation.start()
    const agent = fake.agent()
    expect(agent.signRequest(ask).jws.split('.')[1]).not.toBe(agent.signRequest(ask).jws.split('.')[1])
  })

  it.each([
    ['an unknown member', { ...authority, expires: 'never' }, 'authority_not_understood'],
    ['no permissions', { ...authority, permissions: undefined }, 'authority_malformed'],
  ])('with %s is refused before anybody is asked', async (_, wrong, code) => {
    await using fake = await FakeInstallation.start()
    expect(() => fake.agent().signRequest({ ...ask, authority: wrong })).toThrow(expect.objectContaining({ code }))
  })
})
