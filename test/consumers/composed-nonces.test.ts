import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { createAgent } from '@bailiwick/agent'
import { sample, sampleAgentId, sampleKey, sampleKeyFile } from '@bailiwick/standalone/sample'
import { freePort } from '@bailiwick/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { listen } from '../e2e/oauth-client.ts'
import { People } from '../e2e/people.ts'
import { World } from '../e2e/world.ts'
import { missingPrograms, Program, pythonWithPackages, run } from './programs.ts'
import { type Language, languages, programOf } from './resource-server.ts'

// Servers with nonces of their own, and a decision point behind them that requires its own. One agent, which keeps one nonce for each
// origin, calls all of them.

const missing = process.env.CI === 'true' ? [] : missingPrograms()
const secret = randomBytes(32).toString('base64url')
/** A busy machine can cause these. */
const passing = new Set(['deadline_exceeded', 'evidence_unavailable', 'state_stale', 'pdp_unavailable', 'queue_full'])
const sdk = join(import.meta.dirname, '../../clients/python')

describe.skipIf(missing.length > 0)('resource servers with a decision point behind them', () => {
  const folder = mkdtempSync(join(tmpdir(), 'composed-'))
  const secretFile = join(folder, 'secret')
  /** Each language once with a decision point, and once without. */
  const asking = {} as Record<Language, string>
  const alone = {} as Record<Language, string>
  const opened = new AsyncDisposableStack()
  let world: World
  let people: People
  let front: Server
  let decisionPoint: World['http']
  const sent: { origin: string; nonce: string | undefined }[] = []
  const given = new Map<string, Set<string>>()

  beforeAll(async () => {
    for (const language of languages) {
      asking[language] = `http://localhost:${await freePort()}`
      alone[language] = `http://localhost:${await freePort()}`
    }
    const addresses = [...Object.values(asking), ...Object.values(alone)]
    const bearer_sha256 = createHash('sha256').update(secret).digest('base64url')
    world = opened.use(
      await World.open({
        entities: (entities) =>
          entities.map((each) =>
            each.type === 'enforcement-point'
              ? { ...each, value: { ...each.value, base_urls: [...each.value.base_urls, ...addresses], bearer_sha256 } }
              : each,
          ),
      }),
    )
    people = await People.enrolled(world)
    await listen(world)
    decisionPoint = world.http
    // One address, whichever instance is behind it.
    front = createServer(async (request: IncomingMessage, reply) => {
      const { url = '', headers } = request
      const answer = await decisionPoint.inject({ method: 'POST', url, headers, payload: await buffer(request) })
      reply.writeHead(answer.statusCode, answer.headers as Record<string, string>).end(answer.rawPayload)
    }).listen(0, '127.0.0.1')
    await once(front, 'listening')
    writeFileSync(secretFile, secret, { mode: 0o600 })
  })
  afterAll(async () => {
    front?.close()
    await opened.disposeAsync()
    rmSync(folder, { recursive: true, force: true })
  })

  async function start(language: Language, base: string, more: string[] = []): Promise<Program> {
    const [file, args] = await programOf(language, folder)
    const dash = language === 'go' ? '-' : '--'
    const options = { issuer: world.url, 'base-url': base }
    const words = Object.entries(options).flatMap(([name, value]) => [`${dash}${name}`, value])
    const server = new Program(file, [...args, ...words, ...more])
    await expect.poll(() => server.output, { timeout: 60_000 }).toContain('ready')
    return server
  }
  const withDecisionPoint = (language: Language): Promise<Program> => {
    const { port } = front.address() as AddressInfo
    const more = ['--decision-point', `http://127.0.0.1:${port}`, '--secret-file', secretFile]
    return start(language, asking[language], more)
  }

  /** The SDK's agent. What its proofs say, and what servers give it, is remembered. */
  const agentOf = () =>
    createAgent({
      agentId: sampleAgentId('reconciler'),
      instance: sample.instance,
      key: sampleKey(world.data, 'reconciler'),
      installation: world.trust.installation,
      baseUrl: world.url,
      async fetch(input, init) {
        const { origin } = new URL(String(input))
        const [, claims = ''] = new Headers(init?.headers).get('dpop')?.split('.') ?? []
        if (claims !== '')
          sent.push({
            origin,
            nonce: JSON.parse(Buffer.from(claims, 'base64url').toString()).nonce as string | undefined,
          })
        const answer = await fetch(input, init)
        const nonce = answer.headers.get('dpop-nonce')
        if (nonce !== null) given.set(origin, (given.get(origin) ?? new Set()).add(nonce))
        return answer
      },
      now: () => world.clock.now(),
      random: world.random,
    })

  /** The status of one call by the SDK, with the reason of a refusal. On a busy machine it is made again. */
  async function call(agent: ReturnType<typeof agentOf>, base: string, grantId: string): Promise<string> {
    for (let left = 20; ; left--) {
      const answer = await agent.fetch(
        `${base}/invoices/INV-1`,
        { method: 'GET' },
        { grant: { grantId, resource: base } },
      )
      const { error } = (await answer.json()) as { error?: string }
      if (left === 0 || !passing.has(error ?? '')) return `${answer.status} ${error ?? ''}`.trim()
    }
  }

  it.each(languages)(
    'the server in %s follows the decision point: after a restart no honest call is refused, and a withdrawn grant is (V7, V10)',
    async (language) => {
      await using _server = await withDecisionPoint(language)
      await using _other = await start(language, alone[language])
      const agent = agentOf()
      const { grantId } = await people.grant()
      // All were just started: first each server requires a nonce of its own, and then the decision point does.
      const both = async () => [
        await call(agent, asking[language], grantId),
        await call(agent, alone[language], grantId),
      ]
      await expect.poll(both).toEqual(['200', '200'])
      decisionPoint = (await world.startPdp()).http
      const answers: string[] = []
      for (let n = 0; n < 10; n++) answers.push(...(await both()))
      expect(answers.filter((answer) => answer !== '200')).toEqual([])

      expect(await world.revoke('grant', grantId, 20_000)).toBe(200)
      await expect.poll(both).toEqual(['403 grant_revoked', '200'])
      expect(await call(agent, asking[language], grantId)).toBe('403 grant_revoked')
    },
  )

  it('sent no nonce to another server than the one that gave it', () => {
    expect(new Set(sent.map(({ origin }) => origin)).size).toBe(1 + 2 * languages.length)
    const foreign = sent.filter(({ origin, nonce }) => nonce !== undefined && given.get(origin)?.has(nonce) !== true)
    expect(foreign).toEqual([])
    expect(sent.filter(({ nonce }) => nonce !== undefined).length).toBeGreaterThan(20)
  })

  it('the SDK for Python keeps the nonces of two such servers and of the issuer apart', async () => {
    await using _asking = await withDecisionPoint('node')
    await using _alone = await start('go', alone.go)
    const { grantId } = await people.grant()
    const env = {
      PYTHONPATH: join(sdk, 'src'),
      PYTHONDONTWRITEBYTECODE: '1',
      BAILIWICK_URL: world.url,
      BAILIWICK_INSTALLATION: world.trust.installation,
      BAILIWICK_AGENT: sampleAgentId('reconciler'),
      BAILIWICK_AGENT_INSTANCE: sample.instance,
      BAILIWICK_AGENT_KEY: sampleKeyFile(world.data, 'reconciler'),
    }
    const story = join(sdk, 'tests/two_servers_story.py')
    const { code, out, err } = await run(await pythonWithPackages(sdk), [story, grantId, asking.node, alone.go], {
      env,
    })
    expect(code, err).toBe(0)
    expect(JSON.parse(out)).toEqual(Array(10).fill(200))
  })
})
