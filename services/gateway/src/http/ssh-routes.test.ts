import { Health, httpServer, logger, metrics } from '@bailiwick/host'
import { systemClock } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import type { SshAuthority } from '../ssh/ssh-authority.ts'
import { sshRoutes } from './ssh-routes.ts'

async function aServer() {
  const http = await httpServer({
    ...{ clock: systemClock, health: new Health(), metrics: metrics({ service: 'test', processMetrics: false }) },
    logger: logger({ service: 'test', level: 'silent' }),
    strangers: { perSecond: 1, holdMs: 0 },
  })
  const fleet = { revoked: '# none\n', publicKey: async () => 'ssh-ed25519 A\n' } as unknown as SshAuthority
  const publicUrl = 'http://localhost'
  const options = { publicUrl, issuer: publicUrl, origins: () => [] }
  sshRoutes(http, (name) => (name === 'fleet' ? fleet : undefined), options)
  const get = async (url: string) => (await http.inject({ method: 'GET', url })).statusCode
  return { get, [Symbol.asyncDispose]: () => http.close().then(() => undefined) }
}

it('gives hosts the list of revoked keys while strangers of their network flood everything else (V18)', async () => {
  await using at = await aServer()
  const flood = new Set<number>()
  for (let n = 0; n < 20; n++) flood.add(await at.get('/ssh/fleet/ca'))
  expect(flood).toContain(429)
  expect(await at.get('/ssh/fleet/revoked')).toBe(200)
  expect(await at.get('/ssh/other/revoked')).toBe(404)
})
