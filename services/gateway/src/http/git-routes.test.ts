import { Health, httpServer, logger, metrics } from '@bailiwick/host'
import { systemClock } from '@bailiwick/kit'
import { refusal } from '@bailiwick/pep'
import { expect, it } from 'vitest'
import { gitEntry } from '../git/git-entry.ts'
import type { GitServer } from '../git/git-server.ts'
import { gitRoutes } from './git-routes.ts'

async function aServer(perSecond: number) {
  const http = await httpServer({
    ...{ clock: systemClock, health: new Health(), metrics: metrics({ service: 'test', processMetrics: false }) },
    logger: logger({ service: 'test', level: 'silent' }),
    strangers: { perSecond, holdMs: 0 },
  })
  const forge = {
    ...{ entry: gitEntry.parse({ url: 'http://127.0.0.1:1/git' }), address: 'http://localhost/git/forge' },
    ...{ toolServer: 'forge', audienceFault: () => refusal('credential_malformed') },
  } as unknown as GitServer
  const publicUrl = 'http://localhost'
  const options = { publicUrl, issuer: publicUrl, origins: () => [] }
  gitRoutes(http, (name) => (name === 'forge' ? forge : undefined), options)
  const get = (target: string, headers: Record<string, string> = {}) =>
    http.inject({ method: 'GET', url: target, headers })
  return { get, [Symbol.asyncDispose]: () => http.close().then(() => undefined) }
}

const advertised = '/git/forge/team/app.git/info/refs?service=git-upload-pack'
const forged = { authorization: 'DPoP a.b.c', dpop: 'd.e.f' }

it('answers by itself as any other route does, with its id and no cache', async () => {
  await using at = await aServer(100)
  const { statusCode, headers } = await at.get(advertised)
  expect([statusCode, headers['bailiwick-denied'], headers['cache-control']]).toEqual([
    401,
    'credential_missing',
    'no-store',
  ])
  expect(headers['www-authenticate']).toContain('/git/forge')
  expect(headers['x-request-id']).toMatch(/./)
})

it.each([[advertised], ['/git/forge/team/app.git/HEAD'], ['/git/other/team/app.git/git-upload-pack']])(
  'slows down strangers who claim to be someone: %s (V18)',
  async (target) => {
    await using at = await aServer(1)
    const statuses = new Set<number>()
    for (let n = 0; n < 20; n++) statuses.add((await at.get(target, forged)).statusCode)
    expect(statuses).toContain(429)
  },
)
