import { chmod, mkdtemp, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { testClock } from '@bailiwick/kit'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { httpUpstream } from '../http/http-upstream.ts'
import { openSecrets } from './secrets.ts'
import { fillTemplate, headerTemplate } from './template.ts'
import { fewBytes, withoutSecrets } from './without-secrets.ts'

const value = 'sk-0123456789abcdef'

async function secretFile(content: string, mode = 0o600): Promise<string> {
  const path = join(await mkdtemp(join(tmpdir(), 'secret-')), 's')
  await writeFile(path, content)
  await chmod(path, mode)
  return path
}

/** A server that speaks as much of the HTTP API of Vault's KV version 2 as a reader meets. */
async function kvServer(
  answer: (request: IncomingMessage) => { status?: number; body?: string; headers?: Record<string, string> },
) {
  const requests: IncomingMessage[] = []
  const server = createServer((request, response) => {
    requests.push(request)
    const { status = 200, body = '', headers = {} } = answer(request)
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    requests,
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** What KV version 2 answers for a secret. */
const kv = (data: object) =>
  JSON.stringify({
    request_id: 'r',
    lease_id: '',
    data: { data, metadata: { version: 3, destroyed: false } },
    warnings: null,
  })

describe('a secret', () => {
  it('shows its value only where it is asked for', async () => {
    const secret = await openSecrets({ env: { KEY: value } }).read('env:KEY')
    expect(secret.reveal()).toBe(value)
    for (const shown of [
      String(secret),
      `${secret}`,
      JSON.stringify({ secret }),
      inspect(secret, { showHidden: true, depth: 9 }),
    ])
      expect(shown).not.toContain(value)
  })

  it('comes from a file that its owner alone may read, without the last line end', async () => {
    const secrets = openSecrets()
    expect((await secrets.read(`file:${await secretFile(`${value}\n`)}`)).reveal()).toBe(value)
    await expect(secrets.read(`file:${await secretFile(value, 0o644)}`)).rejects.toThrow('secret_unavailable')
    await expect(secrets.read('file:/nowhere')).rejects.toThrow('secret_unavailable')
  })

  it('comes from a program, which gets neither a shell nor the environment', async () => {
    const secrets = openSecrets()
    expect((await secrets.read(`exec:/usr/bin/printf ${value}`)).reveal()).toBe(value)
    expect((await secrets.read('exec:/usr/bin/printf $HOME;id')).reveal()).toBe('$HOME;id')
    process.env.BAILIWICK_TEST_CANARY = value
    expect((await secrets.read('exec:/usr/bin/env -u _')).reveal()).toMatch(/^PATH=[^\n]*$/)
    delete process.env.BAILIWICK_TEST_CANARY
  })

  it.each(['exec:/usr/bin/false', 'exec:/nowhere', 'exec:/usr/bin/yes', `exec:/bin/sh -c echo`])(
    '%s gives none',
    async (reference) => {
      await expect(openSecrets().read(reference)).rejects.toThrow('secret_unavailable')
    },
  )

  it.each(['', ' x', 'x ', 'a\nb', 'a\r\nX-Role: admin', 'a\0b', 'é', 'x'.repeat(20_000)])(
    'that no header field can hold is none: %j',
    async (wrong) => {
      await expect(openSecrets({ env: { KEY: wrong } }).read('env:KEY')).rejects.toThrow('secret_unavailable: env:KEY')
    },
  )

  it('is read once for all that wait for it, and again when it is no longer fresh', async () => {
    const clock = testClock()
    const env: Record<string, string | undefined> = { KEY: value }
    let reads = 0
    const counted = Object.defineProperty({} as typeof env, 'KEY', {
      get: () => {
        reads++
        return env.KEY
      },
    })
    const secrets = openSecrets({ env: counted, clock, freshMs: 1000, staleMs: 5000 })
    await Promise.all(Array.from({ length: 10 }, () => secrets.read('env:KEY')))
    expect(reads).toBe(1)
    env.KEY = `${value}-rotated`
    expect((await secrets.read('env:KEY')).reveal()).toBe(value)
    clock.advance(1001)
    expect((await secrets.read('env:KEY')).reveal()).toBe(`${value}-rotated`)
    env.KEY = undefined
    clock.advance(4000)
    expect((await secrets.read('env:KEY')).reveal()).toBe(`${value}-rotated`)
    clock.advance(1001)
    await expect(secrets.read('env:KEY')).rejects.toThrow('secret_unavailable')
  })
})

describe('a secret that is rotated', () => {
  it('comes into use within a second if it is in a file, and at once if the upstream refused the last one', async () => {
    const clock = testClock()
    const path = await secretFile(value)
    const secrets = openSecrets({ clock })
    const read = async () => (await secrets.read(`file:${path}`)).reveal()
    expect(await read()).toBe(value)
    await writeFile(path, `${value}-second`)
    expect(await read()).toBe(value)
    clock.advance(1000)
    expect(await read()).toBe(`${value}-second`)
    await writeFile(path, `${value}-third`)
    secrets.doubt(`file:${path}`)
    expect(await read()).toBe(`${value}-third`)
  })

  it('comes into use from elsewhere once the upstream refused the last one, which has it read once a second at most', async () => {
    const clock = testClock()
    let reads = 0
    await using server = await kvServer(() => ({ body: kv({ key: `${value}-${++reads}` }) }))
    const token = `file:${await secretFile('hvs.token')}`
    const secrets = openSecrets({ clock, vault: { address: server.address, token } })
    const read = async () => (await secrets.read('vault:kv/a#key')).reveal()
    expect([await read(), await read()]).toEqual([`${value}-1`, `${value}-1`])
    secrets.doubt('vault:kv/a#key')
    clock.advance(999)
    expect(await read()).toBe(`${value}-1`)
    clock.advance(1)
    expect([await read(), await read()]).toEqual([`${value}-2`, `${value}-2`])
    clock.advance(29_999)
    expect(await read()).toBe(`${value}-2`)
    secrets.doubt('vault:kv/never-read#key')
  })
})

describe('a secret that is doubted and was the same', () => {
  it('is read no sooner than without a doubt', async () => {
    const clock = testClock()
    let reads = 0
    await using server = await kvServer(() => {
      reads++
      return { body: kv({ key: value }) }
    })
    const token = `file:${await secretFile('hvs.token')}`
    const secrets = openSecrets({ clock, vault: { address: server.address, token } })
    for (let second = 0; second < 30; second++) {
      await secrets.read('vault:kv/a#key')
      secrets.doubt('vault:kv/a#key')
      clock.advance(1000)
    }
    expect(reads).toBe(2)
    clock.advance(1000)
    await secrets.read('vault:kv/a#key')
    expect(reads).toBe(3)
  })
})

it('a source that is down is asked once a second, not for each call', async () => {
  const clock = testClock()
  let reads = 0
  await using server = await kvServer(() => (reads++ === 0 ? { body: kv({ key: value }) } : { status: 503 }))
  const token = `file:${await secretFile('hvs.token')}`
  const secrets = openSecrets({ clock, vault: { address: server.address, token } })
  const read = async () => (await secrets.read('vault:kv/a#key')).reveal()
  await read()
  clock.advance(30_000)
  expect([await read(), await read(), await read()]).toEqual([value, value, value])
  expect(reads).toBe(2)
  clock.advance(1000)
  await read()
  expect(reads).toBe(3)
})

describe('a server of KV version 2', () => {
  it('gives a field of the newest version, for its token', async () => {
    await using server = await kvServer(() => ({ body: kv({ key: value }) }))
    const token = `file:${await secretFile('hvs.token')}`
    const secrets = openSecrets({ vault: { address: server.address, token, namespace: 'team' } })
    expect((await secrets.read('vault:kv/billing/prod#key')).reveal()).toBe(value)
    const [request] = server.requests
    expect(request?.url).toBe('/v1/kv/data/billing/prod')
    expect(request?.headers).toMatchObject({ 'x-vault-token': 'hvs.token', 'x-vault-namespace': 'team' })
  })

  it.each<[string, Parameters<typeof kvServer>[0]]>([
    ['refuses', () => ({ status: 403, body: JSON.stringify({ errors: [`permission denied for ${value}`] }) })],
    ['has no such field', () => ({ body: kv({ other: value }) })],
    ['has a field that is no text', () => ({ body: kv({ key: { nested: value } }) })],
    ['has deleted it', () => ({ status: 404, body: JSON.stringify({ data: { data: null, metadata: {} } }) })],
    ['has it only in a prototype', () => ({ body: '{"data":{"data":{"__proto__":{"key":"x"}}}}' })],
    ['says the key twice', () => ({ body: '{"data":{"data":{"key":"a","key":"b"}}}' })],
    ['answers no JSON', () => ({ body: value })],
    ['answers without end', () => ({ body: `"${'x'.repeat(2_000_000)}"` })],
    ['sends elsewhere', () => ({ status: 307, headers: { location: 'http://127.0.0.1:1/v1/kv/data/a' } })],
  ])('that %s gives none, and its words go nowhere', async (_, answer) => {
    await using server = await kvServer(answer)
    const secrets = openSecrets({ env: { TOKEN: 'hvs.token' }, vault: { address: server.address, token: 'env:TOKEN' } })
    const error: unknown = await secrets.read('vault:kv/a#key').catch((thrown: unknown) => thrown)
    expect(String(error)).toContain('secret_unavailable: vault:kv/a#key')
    expect(inspect(error, { depth: 9 })).not.toMatch(new RegExp(`${value}|hvs.token`))
    expect(server.requests).toHaveLength(1)
  })

  it.each(['vault:kv/../sys/seal#key', 'vault:kv/a', 'vault:kv#key', 'vault:kv/a?b#key', 'vault:/a#key'])(
    'is not asked for %s',
    async (reference) => {
      await using server = await kvServer(() => ({ body: kv({ key: value }) }))
      const secrets = openSecrets({ env: { T: 'hvs.token' }, vault: { address: server.address, token: 'env:T' } })
      await expect(secrets.read(reference)).rejects.toThrow('secret_unavailable')
      expect(server.requests).toEqual([])
    },
  )
})

describe('a text with secrets', () => {
  const secrets = openSecrets({ env: { A: 'first-secret', B: 'second-secret' } })

  it('is filled each time', async () => {
    expect(await fillTemplate(headerTemplate('Basic ${secret:env:A}:${secret:env:B}'), secrets)).toEqual({
      text: 'Basic first-secret:second-secret',
      values: ['first-secret', 'second-secret'],
    })
  })

  it.each(['${env:A}', '${secret:A}', '${secret:ssm:/a}', '${secret:vault:a/b#c}', 'a\nb', '${', '${secret:}'])(
    'that can never be filled is refused at once: %j',
    (template) =>
      expect(() => httpUpstream({ name: 'a', url: 'http://a.example', inject: { key: template }, secrets })).toThrow(
        'config_invalid',
      ),
  )
})

describe('an answer', () => {
  async function passed(parts: string[], hidden = [value]): Promise<string> {
    let shown = ''
    for await (const part of withoutSecrets(from(parts), hidden)) shown += Buffer.from(part).toString()
    return shown
  }
  async function* from(parts: string[]) {
    for (const part of parts) yield Buffer.from(part)
  }

  it('without a secret passes as it is', async () => {
    expect(await passed(['a', 'sk-01', '23', '-', 'sk-0123456789abcde'])).toBe('ask-0123-sk-0123456789abcde')
  })

  it.each<[string, string[]]>([
    ['whole', [`{"authorization":"Bearer ${value}"}`]],
    ['in two parts', [`x${value.slice(0, 7)}`, `${value.slice(7)}y`]],
    ['byte by byte', [...`ab${value}cd`]],
    ['in base64', [Buffer.from(value).toString('base64')]],
    ['in base64 with something before it', [Buffer.from(`u:${value}`).toString('base64')]],
    ['in base64 with more before it', [Buffer.from(`user:${value}!`).toString('base64')]],
  ])('that repeats a secret %s is withheld before its last byte', async (_, parts) => {
    let shown = ''
    const reading = (async () => {
      for await (const part of withoutSecrets(from(parts), [value])) shown += Buffer.from(part).toString()
    })()
    await expect(reading).rejects.toThrow('answer_withheld')
    expect(shown).not.toContain(value.slice(0, 12))
  })

  it('with one in the escapes of JSON is withheld', async () => {
    const quoted = 'sk-"0123\\456789'
    await expect(passed([JSON.stringify({ echoed: quoted })], [quoted])).rejects.toThrow('answer_withheld')
  })

  it.each([
    ['as PHP writes JSON', 'sk-01\\/23+45=67'],
    ['as .NET writes JSON', 'sk-01/23\\u002B45=67'],
    ['with all signs escaped', 'sk-01\\u002f23\\u002b45=67'],
    ['in a URL with small letters', 'sk-01%2f23%2b45%3d67'],
    ['in HTML as .NET writes it', 'sk-01/23&#x2B;45=67'],
    ['in HTML', 'sk-01&#47;23&#43;45&#61;67'],
  ])('with one %s is withheld', async (_, written) => {
    await expect(passed([`{"echoed":"${written}"}`], ['sk-01/23+45=67'])).rejects.toThrow('answer_withheld')
  })

  it('of a WebSocket waits for no more bytes if its last ones are hardly the beginning of a secret', async () => {
    const reading = withoutSecrets(from(['yes', 'k-', '0123', '456789abcde', 'x']), [value], fewBytes)
    const shown: string[] = []
    for await (const part of reading) shown.push(Buffer.from(part).toString())
    expect(shown).toEqual(['yes', 'k-', '0123456789abcdex'])
  })

  it('shows at most three bytes of a secret, in parts of any length', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: value.length + 5 }), { maxLength: 6 }), async (cuts) => {
        const text = `abs${value}cd`
        const at = [0, ...cuts.toSorted((a, b) => a - b), text.length]
        const cut = at.slice(1).map((end, n) => text.slice(at[n], end))
        let shown = ''
        const reading = (async () => {
          for await (const part of withoutSecrets(from(cut), [value], fewBytes)) shown += Buffer.from(part).toString()
        })()
        await expect(reading).rejects.toThrow('answer_withheld')
        expect(text.startsWith(shown)).toBe(true)
        expect(shown.length).toBeLessThanOrEqual('abs'.length + 3)
      }),
    )
  })

  it('holds nothing back that cannot be the beginning of a secret', async () => {
    const reading = withoutSecrets(from(['data: {}\n\n', 'x']), [value])
    expect(Buffer.from((await reading.next()).value).toString()).toBe('data: {}\n\n')
  })
})
