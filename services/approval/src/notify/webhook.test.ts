import { createHash } from 'node:crypto'
import { generateKey, publicKeyOf, verifyNotification } from '@bailiwick/credentials'
import { systemClock } from '@bailiwick/kit'
import { describe, expect, it } from 'vitest'
import { bodyOf } from './bodies.ts'
import { plainLine, plainLines } from './notice.ts'
import { aNotice, notificationSinkContract } from './sink.contract.ts'
import { silentSink } from './sink.ts'
import { aWebhook } from './webhook.fixture.ts'
import { webhookSink } from './webhook.ts'

const installation = 'ins_0123456789ABCDEF'
const key = generateKey('notification')
const running = new AbortController().signal
const sinkTo = (url: string, more: { deadlineMs?: number } = {}) =>
  webhookSink({ url, format: 'json', installation, key, clock: systemClock, ...more })

describe('a silent sink', () => {
  notificationSinkContract(async () => ({ ...silentSink(), [Symbol.asyncDispose]: async () => undefined }))
})

describe('telling a webhook', () => {
  notificationSinkContract(async () => {
    const hook = await aWebhook()
    return { ...sinkTo(hook.url), [Symbol.asyncDispose]: () => hook[Symbol.asyncDispose]() }
  })

  it('signs the body and where it goes, under the id of the delivery at each attempt (V12)', async () => {
    await using hook = await aWebhook()
    const sink = sinkTo(hook.url)
    await sink.send(aNotice(), running)
    await sink.send(aNotice(), running)
    const [first, second] = hook.received
    expect(first?.body).toBe(second?.body)
    for (const { body, signature } of hook.received) {
      const bodySha256 = createHash('sha256').update(body).digest('base64url')
      const check = { notification: signature, key: publicKeyOf(key), installation, url: hook.url, bodySha256 }
      expect(verifyNotification(check)).toMatchObject({ ok: true, value: { jti: aNotice().id } })
      expect(verifyNotification({ ...check, url: `${hook.url}/x` })).toMatchObject({ code: 'token_audience_wrong' })
      const another = createHash('sha256').update(`${body} `).digest('base64url')
      expect(verifyNotification({ ...check, bodySha256: another })).toMatchObject({ code: 'signature_invalid' })
    }
  })

  it.each([
    [200, 'sent'],
    [204, 'sent'],
    [301, 'never'],
    [307, 'never'],
    [400, 'never'],
    [404, 'never'],
    [408, 'later'],
    [429, 'later'],
    [500, 'later'],
    [503, 'later'],
  ])('takes %i for: %s', async (status, outcome) => {
    await using hook = await aWebhook()
    await using elsewhere = await aWebhook()
    hook.answer = (response) => void response.writeHead(status, { location: elsewhere.url }).end()
    expect(await sinkTo(hook.url).send(aNotice(), running)).toBe(outcome)
    expect(elsewhere.received).toEqual([])
  })

  it('waits no longer than its deadline, and for no more of the answer than its status', async () => {
    await using hook = await aWebhook()
    hook.answer = () => undefined
    const started = performance.now()
    expect(await sinkTo(hook.url, { deadlineMs: 200 }).send(aNotice(), running)).toBe('later')
    expect(performance.now() - started).toBeLessThan(2000)
    hook.answer = (response) => void response.writeHead(200).write('x'.repeat(65_536)) // and never ends
    expect(await sinkTo(hook.url).send(aNotice(), running)).toBe('sent')
  })

  it('is held by no answer that Node is silent about (V18)', async () => {
    await using hook = await aWebhook()
    hook.answer = ({ socket }) => socket?.write('HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
    expect(await sinkTo(hook.url, { deadlineMs: 10_000 }).send(aNotice(), running)).toBe('later')
  })
})

describe('what people read', () => {
  it('spells out what is invisible, makes no link of anybody else’s, and is short', () => {
    expect(plainLine('a\u202Eb\u200Bc\nd https://evil.example')).toBe(
      'a\\u{202e}b\\u{200b}c\\u{a}d https: //evil.example',
    )
    expect(plainLine('a\u3164b\ufe0fc\u034fd')).toBe('a\\u{3164}b\\u{fe0f}c\\u{34f}d')
    expect(plainLine('x'.repeat(50_000))).toHaveLength(301)
    expect(plainLines(Array.from({ length: 1000 }, () => 'x'))).toHaveLength(21)
  })

  it('has nothing that Slack would read as markup of ours', () => {
    const lines = ['<https://evil.example|Approve here> & <!channel>']
    const { text, blocks } = JSON.parse(bodyOf(aNotice({ lines }), 'slack', installation))
    expect(text).not.toMatch(/[<>]/)
    for (const { type, text } of blocks) if (type === 'section') expect(text.type).toBe('plain_text')
    expect(JSON.stringify(blocks).match(/"url"/g)).toHaveLength(1)
  })
})
