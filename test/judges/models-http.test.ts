import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { makeDpopProof } from '@bailiwick/credentials'
import { sampleKey } from '@bailiwick/standalone/sample'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { passing } from '../abuse/raw-request.ts'
import { run } from '../consumers/programs.ts'
import { ModelsWorld } from '../e2e/models-world.ts'

/** By hand a test is skipped without its program; in CI it runs, and fails. */
function lacks(program: string): boolean {
  if (process.env.CI === 'true') return false
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' })
    return false
  } catch {
    return true
  }
}

let world: ModelsWorld
beforeAll(async () => {
  world = await ModelsWorld.open()
})
afterAll(() => world?.[Symbol.asyncDispose]())

const body = JSON.stringify({ model: 'small', max_tokens: 16, messages: [{ role: 'user', content: 'Hi' }] })

/** Calls a path as it is, with a credential and a proof for exactly that path. */
async function curl(path: string, grantId: string): Promise<{ status: number; code: string | undefined }> {
  const url = `${world.urls[0]}${path}`
  const { token } = await world.agent().credential({ grantId })
  const key = sampleKey(world.system.data, 'reconciler')
  const htu = url.replace(/\?.*$/s, '')
  let nonce: string | undefined
  for (let tries = 0; ; tries++) {
    const proof = makeDpopProof(
      { htm: 'POST', htu, jti: randomUUID(), now: Date.now(), accessToken: token, nonce },
      key,
    )
    const fields = ['content-type: application/json', `authorization: DPoP ${token}`, `dpop: ${proof}`]
    const { code, out } = await run('curl', [
      ...['--silent', '--path-as-is', '--max-time', '30', '--include', '--data', body],
      ...fields.flatMap((field) => ['--header', field]),
      url,
    ])
    expect(code).toBe(0)
    const [, status = '0'] = /^HTTP\/1\.1 (\d{3})/.exec(out) ?? []
    const [, said] = /"code":"([a-z_]+)"/.exec(out) ?? []
    nonce = /\r\ndpop-nonce: (\S+)/i.exec(out)?.[1]
    if (tries === 20 || (nonce === undefined && !passing.has(said ?? ''))) return { status: Number(status), code: said }
  }
}

describe.skipIf(lacks('curl'))('curl, which sends a path as it is', () => {
  let grantId = ''
  beforeAll(async () => {
    grantId = (await world.granted()).grantId
    expect(await curl('/models/acme/v1/chat/completions', grantId)).toEqual({ status: 200, code: undefined })
    world.provider.calls.length = 0
  })

  it.each([
    '/models/acme/v1/../v1/chat/completions',
    '/models/acme/./v1/chat/completions',
    '/models/claudish/../acme/v1/chat/completions',
    '/models/acme//v1/chat/completions',
    '//models/acme/v1/chat/completions',
    '/models/acme/v1/chat%2fcompletions',
    '/models/acme/v1/%2e%2e/v1/chat/completions',
    '/models/acme/v1/chat/completions;x=1',
    '/models/acme/v1/ch%61t/completions',
    '/models/acme/v1/chat/completions/',
    '/models/acme/v1/chat/completions?x=1',
    '/models/acme/V1/chat/completions',
  ])('gets nothing from the provider by %s', async (path) => {
    const { status, code } = await curl(path, grantId)
    expect([status >= 400 && status < 500, code]).toEqual([
      true,
      expect.stringMatching(/^(path_|target_|model_endpoint_unknown|route_unknown)/),
    ])
    expect(world.provider.calls).toEqual([])
  })
})

describe.skipIf(lacks('h2load'))('h2load', () => {
  it('floods it with calls without a credential: all are refused, and an agent is answered afterwards (V18)', {
    timeout: 120_000,
  }, async () => {
    const { grantId } = await world.granted()
    const before = world.provider.calls.length
    const { out } = await run('h2load', [
      ...['--h1', '--requests', '3000', '--clients', '64', '--header', 'content-type: application/json'],
      `${world.urls[0]}/models/acme/v1/chat/completions`,
    ])
    expect(out).toMatch(/3000 total, 3000 started, 3000 done/)
    expect(out).toMatch(/ 0 2xx, 0 3xx, \d+ 4xx/)
    expect(world.provider.calls.length).toBe(before)
    // The flood came from this machine, so its calls and the agent's count together for a while.
    const ask = () => world.ask({ grantId }, '/acme/v1/chat/completions', body)
    await expect.poll(async () => (await ask()).status, { timeout: 60_000, interval: 1000 }).toBe(200)
  })

  it('gets no answer by HTTP/2 without having been asked for it, and breaks nothing', async () => {
    const { out } = await run('h2load', ['--requests', '10', '--clients', '2', `${world.urls[0]}/healthz`])
    expect(out).toMatch(/ 0 2xx/)
    expect((await fetch(`${world.urls[0]}/healthz`)).status).toBe(200)
  })
})
