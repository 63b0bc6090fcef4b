import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { aWebhook, type Webhook } from '@bailiwick/approval/webhook.fixture'
import { verifyingKey, verifyNotification } from '@bailiwick/credentials'
import { readInstallation } from '@bailiwick/installation'
import { sampleAuthority } from '@bailiwick/standalone/sample'
import { afterAll, describe, expect, it } from 'vitest'
import { eventually, pause, Scene } from './scene.ts'

/** A self-signed certificate for `localhost` that no authority vouches for. */
async function selfSigned(): Promise<{ cert: string; key: string }> {
  const { testTls } = await import(join(import.meta.dirname, '../../packages/host/src/http/tls.fixture.ts'))
  return { cert: testTls.certificate, key: testTls.key }
}

const told = (hook: Webhook) => hook.received.map(({ body }) => JSON.parse(body) as Told)
interface Told {
  id: string
  kind: string
  request_id: string
  text: string
}
const notifying = (url: string, format = 'json') => ({
  env: { BAILIWICK_NOTIFY_WEBHOOK: url, BAILIWICK_NOTIFY_FORMAT: format },
})
const scrape = async ({ url }: Scene) => (await fetch(`${url}/metrics`)).text()

describe('a hostile webhook', () => {
  it('hangs: approvals are as fast as before', async () => {
    await using hook = await aWebhook()
    hook.answer = () => undefined
    await using scene = await Scene.open(notifying(hook.url))
    for (let n = 0; n < 6; n++) {
      const { grantId } = await scene.granted()
      expect(await scene.tryCall(scene.agent(), grantId)).toBe('ok')
    }
    await using quiet = await Scene.open()
    const took = async (at: Scene) => {
      const requestId = await at.asked()
      const started = performance.now()
      await at.approver.approve(requestId)
      return performance.now() - started
    }
    // Other load on the machine may slow one approval down; a hook that delays approvals does so every time.
    const asFast = async () => (await took(scene)) < Math.max(2000, 10 * (await took(quiet)))
    expect((await asFast()) || (await asFast()) || (await asFast())).toBe(true)
  })

  it('redirects to an internal address: the redirect is not followed', async () => {
    await using inside = await aWebhook()
    await using hook = await aWebhook()
    hook.answer = (response) => void response.writeHead(307, { location: inside.url }).end()
    await using scene = await Scene.open(notifying(hook.url))
    await scene.asked()
    await eventually('it was given up', async () => /result="failed"[^}]*} 1/.test(await scrape(scene)) || undefined)
    expect([hook.received.length, inside.received.length]).toEqual([1, 0])
  })

  it('answers 500: the notification is retried a limited number of times, with the same id and text', async () => {
    await using hook = await aWebhook()
    hook.answer = (response, nth) => void response.writeHead(nth === 1 ? 500 : 204).end()
    await using scene = await Scene.open(notifying(hook.url))
    await scene.asked()
    await eventually('it was told', () => hook.received.length === 2 || undefined)
    const [first, second] = hook.received
    expect(second?.body).toBe(first?.body)
    await pause(1500)
    expect(hook.received).toHaveLength(2)
  })

  it('sends an endless answer: nothing of it is read', async () => {
    await using hook = await aWebhook()
    let written = 0
    let closed = false
    hook.answer = (response) => {
      response.writeHead(200)
      response.on('close', () => {
        closed = true
      })
      const chunk = 'x'.repeat(65_536)
      const more = () => {
        while (!closed && response.write(chunk)) written += chunk.length
        response.once('drain', more)
      }
      more()
    }
    await using scene = await Scene.open(notifying(hook.url))
    await scene.asked()
    await eventually('the connection ends', () => closed || undefined)
    expect(written).toBeLessThan(16 * 1024 * 1024)
    expect(await scrape(scene)).toMatch(/notifications_total\{kind="request_waiting",result="sent"[^}]*} 1/)
  })

  it('is an impostor with an untrusted certificate: it learns nothing, with any environment variables', async () => {
    let asked = 0
    let handshakes = 0
    const server = createServer(await selfSigned(), (_, response) => {
      asked++
      response.end()
    })
    server.on('tlsClientError', () => handshakes++)
    server.on('secureConnection', () => handshakes++)
    const listening = Promise.withResolvers<void>()
    server.listen(0, 'localhost', listening.resolve)
    await listening.promise
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
    try {
      await using scene = await Scene.open(notifying(`https://localhost:${(server.address() as AddressInfo).port}/`))
      await scene.asked()
      await eventually('it was tried', () => handshakes > 0 || undefined)
      await pause(200)
      expect(asked).toBe(0)
    } finally {
      delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
      server.close()
    }
  })
})

describe('the content of a notification', () => {
  const data = mkdtempSync(join(tmpdir(), 'bailiwick-'))
  afterAll(() => rmSync(data, { recursive: true, force: true }))

  it('has no secret, is signed by a published key, and is not sent again at a restart (V12, V17)', async () => {
    await using hook = await aWebhook()
    const run = async () => {
      await using scene = await Scene.open({ ...notifying(hook.url), data })
      const agent = scene.agent()
      const purpose = 'The owner said yes already: approve within a minute at https://evil.example'
      const asked = agent.signRequest({
        authority: sampleAuthority,
        mode: 'window',
        expiresInSeconds: 3600,
        purpose,
      } as never)
      const { requestId } = await agent.request(asked)
      const { grant_id: grantId = '' } = await scene.approver.approve(requestId)
      expect(await scene.tryCall(agent, grantId)).toBe('ok')
      await scene.approver.withdraw(requestId, 'a reason for no one else')
      await scene.asked() // still waits after the restart
      await eventually('all notices have arrived', () => hook.received.length >= 4 || undefined)
      const keys = (await (await fetch(`${scene.url}/.well-known/bailiwick-notification-keys`)).json()) as {
        keys: object[]
      }
      return { keys: keys.keys, requestId, grantId }
    }
    const { keys, requestId, grantId } = await run()
    expect(told(hook).map(({ kind }) => kind)).toEqual([
      'request_waiting',
      'request_answered',
      'stopped',
      'request_waiting',
    ])
    expect(told(hook)[0]?.request_id).toBe(requestId)
    expect(told(hook)[2]?.text).not.toContain('a reason')
    expect(JSON.stringify(told(hook)[2])).toContain(grantId)
    // Compact JWS and tokens begin with eyJ; ids of credentials, attachments and salts have no place here either.
    expect(hook.received.map(({ body }) => body).join('\n')).not.toMatch(
      /eyJ|crd_|salt|evil\.example|said yes|invitation/,
    )
    const { installation } = readInstallation(data).trust
    expect(keys).toHaveLength(1)
    const [{ alg: _alg, use: _use, kid: _kid, ...jwk } = {}] = keys as Record<string, unknown>[]
    const key = verifyingKey('notification', jwk)
    if (key === undefined) throw new Error('no key')
    for (const { body, signature } of hook.received) {
      const bodySha256 = createHash('sha256').update(body).digest('base64url')
      const verified = verifyNotification({ notification: signature, key, installation, url: hook.url, bodySha256 })
      expect(verified).toMatchObject({ ok: true, value: { jti: JSON.parse(body).id } })
    }
    expect(new Set(told(hook).map(({ id }) => id)).size).toBe(hook.received.length)

    const before = hook.received.length
    await using again = await Scene.reopen({ ...notifying(hook.url), data })
    await pause(1500)
    expect(told(hook).slice(before)).toEqual([])
    expect(again.ledger.requests.requests.size).toBeGreaterThan(1)
  })
})

it('a flood of requests causes at most 20 prompts an hour; the rest come in digests', async () => {
  await using hook = await aWebhook()
  await using scene = await Scene.open(notifying(hook.url, 'slack'))
  const agents = [scene.agent('reconciler'), scene.agent('forecaster')]
  let asks = 0
  for (let round = 0; round < 6; round++) {
    const made = []
    for (const agent of agents)
      for (let n = 0; n < 3; n++) made.push(scene.asked(agent, { ...sampleAuthority, task: `task-${asks++}` }))
    // Not all of them denied: an agent that is denied ten times in a row is paused.
    for (const [n, requestId] of (await Promise.all(made)).entries())
      if (n % 3 === 0) await scene.approver.approve(requestId)
      else await scene.approver.deny(requestId)
  }
  expect(asks).toBe(36)
  const promptsNow = () => hook.received.filter(({ body }) => !/Denied by|Approved by/.test(body))
  const digestedNow = async () =>
    Number(
      /notifications_total\{kind="request_waiting",result="digested"[^}]*} (\d+)/.exec(await scrape(scene))?.[1] ?? 0,
    )
  await eventually('each request is prompted, or put into a digest', async () =>
    promptsNow().length + (await digestedNow()) === asks ? true : undefined,
  )
  const prompts = promptsNow()
  expect(prompts.length).toBeLessThanOrEqual(20)
  expect(prompts.length).toBeGreaterThan(10)
})
