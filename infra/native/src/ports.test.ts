import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { expect, it } from 'vitest'
import { freePorts } from './ports.ts'

it('finds different ports that can be listened on, below those that systems give to outgoing connections', async () => {
  const ports = await freePorts(20)
  expect(new Set(ports).size).toBe(20)
  expect(ports.filter((port) => port < 20_000 || port >= 32_768)).toEqual([])
  await using server = createServer().listen(ports[0], '127.0.0.1')
  await once(server, 'listening')
  expect((server.address() as AddressInfo).port).toBe(ports[0])
})
