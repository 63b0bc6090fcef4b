import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it } from 'vitest'
import { entriesOf } from './entries.ts'
import { mustBeServed } from './served-entries.ts'

it('finds an entry that the gateway has not, before a human is asked, and waits for no gateway', async () => {
  const asked: string[] = []
  const server = createServer(({ url = '' }, response) => {
    asked.push(url)
    response.writeHead(url.endsWith('/http/erp') ? 200 : 404).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const gateway = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const lines: string[] = []
  const look = (http: string[]) =>
    mustBeServed(entriesOf({ mcp: [], http, git: [], ssh: [], postgres: [], session: [], openai: 'acme' }), gateway, {
      err: (line) => lines.push(line),
    })
  await look(['erp'])
  await expect(look(['erp', 'eerp'])).rejects.toMatchObject({
    code: 'config_invalid',
    detail: expect.stringContaining('/http/eerp'),
  })
  expect(asked).not.toContain(expect.stringContaining('models'))
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  await look(['erp'])
  expect(lines).toEqual([`bailiwick: the gateway at ${gateway} does not answer yet`])
})
