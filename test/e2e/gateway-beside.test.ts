import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateKey, writeKeyFile } from '@bailiwick/credentials'
import { freePort, ServiceProcess } from '@bailiwick/testkit'
import { expect, it } from 'vitest'
import { eventually } from './world.ts'

it('all in one runs the gateway beside it if its file is there, and ends it', async () => {
  await using opened = new AsyncDisposableStack()
  const folder = mkdtempSync(join(tmpdir(), 'gateway-beside-'))
  opened.defer(() => rmSync(folder, { recursive: true, force: true }))
  writeKeyFile(join(folder, 'keys'), 'gateway-caller', generateKey('pep-caller'))
  writeKeyFile(join(folder, 'keys'), 'gateway-outcome', generateKey('outcome'))
  const config = join(folder, 'gateway.yaml')
  writeFileSync(config, JSON.stringify({ mcp: { billing: { url: 'http://127.0.0.1:9/mcp' } } }))
  const [port, gatewayPort] = [await freePort(), await freePort()]
  const system = opened.use(
    new ServiceProcess({
      service: 'standalone',
      env: {
        PATH: process.env.PATH ?? '',
        BAILIWICK_DATA: join(folder, 'data'),
        BAILIWICK_PORT: String(port),
        BAILIWICK_GATEWAY_CONFIG: config,
        BAILIWICK_GATEWAY_PORT: String(gatewayPort),
      },
    }),
  )
  system.start()
  await system.ready()
  const url = `http://localhost:${gatewayPort}`
  const metadata = () => fetch(`${url}/.well-known/oauth-protected-resource/mcp/billing`).catch(() => undefined)
  const answer = await eventually(async () => metadata())
  expect(await answer.json()).toMatchObject({
    resource: `${url}/mcp/billing`,
    authorization_servers: [`http://localhost:${port}`],
  })
  expect(await system.stop()).toBe(0)
  expect(await metadata()).toBeUndefined()
})
