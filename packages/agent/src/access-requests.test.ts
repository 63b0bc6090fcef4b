import { describe, expect, it } from 'vitest'
import { authority, FakeInstallation, grantId, type Received, type Reply } from './installation.fixture.ts'

const ask = { authority, mode: 'window', expiresInSeconds: 3600 } as const
const idIn = ({ path }: Received) => path.split('/')[4]
const task = (id: string | undefined, status: string, more: object = {}): Reply => ({
  body: { task: { id, status, status_endpoint: 'http://elsewhere.example/' }, ...more },
})
const approved = { result: { mode: 'reevaluate', approval: { id: grantId, grant_id: grantId } } }

describe('asking over HTTP', () => {
  it('hands in the signed ask and gives the task that answers it', async () => {
    await using fake = await FakeInstallation.start()
    const agent = fake.agent()
    const signed = agent.signRequest({ ...ask, purpose: 'why' })
    const requestId = agent.accessRequestEvent(signed).key
    fake.requests = () => ({ ...task(requestId, 'pending'), status: 202 })
    expect(await agent.request(signed)).toEqual({ requestId, status: 'pending' })
    expect(JSON.parse(fake.received[0]?.text ?? '')).toEqual({
      subject: { type: 'agent', id: agent.id },
      resource: authority.permissions[0]?.resource,
      action: { name: authority.permissions[0]?.actions[0] },
      bailiwick: { request: signed.jws, purpose: signed.purpose },
    })
  })

  it('proves its key for each question, and follows no address that an answer names', async () => {
    await using fake = await FakeInstallation.start()
    fake.requests = (received) => task(idIn(received), 'approved', approved)
    expect(await fake.agent().status('req_1')).toEqual({ requestId: 'req_1', status: 'approved', grantId })
    expect(fake.received).toMatchObject([
      { method: 'GET', path: '/access/v1/requests/req_1', proof: { actionDigest: undefined } },
    ])
  })

  it('waits until it is answered, across a service that is away', async () => {
    await using fake = await FakeInstallation.start()
    const answers: Reply[] = [
      task('req_1', 'pending'),
      { status: 503 },
      { status: 429, body: { code: 'rate_limited' } },
    ]
    fake.requests = (received) => answers.shift() ?? task(idIn(received), 'denied')
    expect(await fake.agent().waitForDecision('req_1')).toMatchObject({ status: 'denied' })
    expect(fake.received).toHaveLength(4)
  })

  it('stops waiting when its signal aborts, or when the answer is one that waiting cannot change', async () => {
    await using fake = await FakeInstallation.start()
    fake.requests = (received) => task(idIn(received), 'pending')
    const stop = new AbortController()
    const waiting = fake.agent().waitForDecision('req_1', { signal: stop.signal })
    await expect.poll(() => fake.received.length).toBe(1)
    stop.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
    fake.requests = () => ({ status: 404, body: { code: 'access_request_unknown' } })
    await expect(fake.agent().waitForDecision('req_1')).rejects.toMatchObject({ code: 'access_request_unknown' })
  })

  it.each([
    ['an unknown status', task('req_1', 'rubber-stamped', approved), 'failed'],
    ['a denial with a result', task('req_1', 'denied', approved), 'denied'],
    [
      'an approval in an unknown mode',
      task('req_1', 'approved', { result: { ...approved.result, mode: 'token' } }),
      'approved',
    ],
  ])('takes %s for no grant (access request profile)', async (_, reply, status) => {
    await using fake = await FakeInstallation.start()
    fake.requests = () => reply
    expect(await fake.agent().status('req_1')).toEqual({ requestId: 'req_1', status })
  })

  it.each<[string, Reply, string]>([
    ['the task of another request', task('req_2', 'approved', approved), 'answer_malformed'],
    ['garbage', { text: '<html>' }, 'answer_malformed'],
    ['two equal keys', { text: '{"task":1,"task":2}' }, 'answer_malformed'],
    ['a redirect', { status: 307, headers: { location: 'http://elsewhere.example/' } }, 'answer_malformed'],
    ['garbage from a proxy', { status: 502, text: '<html>' }, 'service_unready'],
    ['nothing', { hang: true }, 'service_unreachable'],
  ])('refuses %s', async (_, reply, code) => {
    await using fake = await FakeInstallation.start()
    fake.requests = () => reply
    const timeoutMs = reply.hang ? 100 : 5000
    await expect(fake.agent({ timeoutMs }).status('req_1')).rejects.toMatchObject({ code })
  })

  it('cancels with a proof of its own', async () => {
    await using fake = await FakeInstallation.start()
    fake.requests = () => task('req_1', 'cancelled')
    await fake.agent().cancel('req_1')
    expect(fake.received).toMatchObject([{ method: 'POST', path: '/access/v1/requests/req_1/cancel', proof: {} }])
    fake.requests = () => ({ status: 409, body: { code: 'access_request_not_pending' } })
    await expect(fake.agent().cancel('req_1')).rejects.toMatchObject({ code: 'access_request_not_pending' })
  })
})
