import { type ChildProcess, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { makeDpopProof } from '@bailiwick/credentials'
import { newId } from '@bailiwick/kit'
import { sampleKey } from '@bailiwick/standalone/sample'
import { freePort } from '@bailiwick/testkit'
import { expect, it } from 'vitest'
import { askTokenWithNonce } from '../e2e/agent-side.ts'
import { listen } from '../e2e/oauth-client.ts'
import { People } from '../e2e/people.ts'
import { World } from '../e2e/world.ts'
import { missingPrograms, pythonWithPackages, resourceServers } from './programs.ts'

const needs = missingPrograms().filter((each) => each.startsWith('python'))
const secret = randomBytes(32).toString('base64url')

it.skipIf(process.env.CI !== 'true' && needs.length > 0)(
  'a Python server with its own nonces follows the decision point behind it: after a restart no honest call is refused twice (V10)',
  async () => {
    const base = `http://localhost:${await freePort()}`
    await using world = await World.open({
      entities: (entities) =>
        entities.map((each) =>
          each.type === 'enforcement-point'
            ? {
                ...each,
                value: {
                  ...each.value,
                  base_urls: [...each.value.base_urls, base],
                  bearer_sha256: createHash('sha256').update(secret).digest('base64url'),
                },
              }
            : each,
        ),
    })
    const people = await People.enrolled(world)
    await listen(world)
    // One address, whichever instance is behind it.
    let decisionPoint = world.http
    const front = createServer(async (request: IncomingMessage, reply) => {
      const { url = '', headers } = request
      const answer = await decisionPoint.inject({ method: 'POST', url, headers, payload: await buffer(request) })
      reply.writeHead(answer.statusCode, answer.headers as Record<string, string>).end(answer.rawPayload)
    }).listen(0, '127.0.0.1')
    await once(front, 'listening')
    const folder = mkdtempSync(join(tmpdir(), 'composed-'))
    writeFileSync(join(folder, 'secret'), secret, { mode: 0o600 })
    const at = join(resourceServers, 'python')
    const address = front.address()
    const port = typeof address === 'object' ? address?.port : undefined
    const server: ChildProcess = spawn(
      await pythonWithPackages(at),
      [
        join(at, 'server.py'),
        ...['--issuer', world.url, '--base-url', base],
        ...['--decision-point', `http://127.0.0.1:${port}`, '--secret-file', join(folder, 'secret')],
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    )
    try {
      let said = ''
      server.stderr?.on('data', (data) => {
        said += String(data)
      })
      await expect.poll(() => said, { timeout: 20_000 }).toContain('ready')
      const key = sampleKey(world.data, 'reconciler')
      const details = [{ type: 'bailiwick_grant', grant_id: (await people.grant()).grantId }]
      const { token = '' } = await askTokenWithNonce(world, { details, form: { resource: base } })
      let nonce: string | undefined
      const ask = async () => {
        const now = world.clock.now()
        const jti = newId('call', now, world.random)
        const url = `${base}/invoices/INV-1`
        const dpop = makeDpopProof({ htm: 'GET', htu: url, jti, now, accessToken: token, nonce }, key)
        const answer = await fetch(url, { headers: { authorization: `DPoP ${token}`, dpop } })
        nonce = answer.headers.get('dpop-nonce') ?? nonce
        return `${answer.status} ${((await answer.json()) as { error?: string }).error ?? ''}`.trim()
      }
      /** As every DPoP client does: once more, with the nonce of the answer. */
      const call = async () => {
        const first = await ask()
        return first === '401 use_dpop_nonce' ? ask() : first
      }
      // Both were just started: first the server requests a nonce of its own, and then the decision point does.
      await expect.poll(call).toBe('200')
      expect(await call()).toBe('200')
      decisionPoint = (await world.startPdp()).http
      const answers: string[] = []
      for (let n = 0; n < 20; n++) answers.push(await call())
      expect(answers.filter((answer) => answer !== '200')).toEqual([])
    } finally {
      server.kill()
      front.close()
      rmSync(folder, { recursive: true, force: true })
    }
  },
  120_000,
)
