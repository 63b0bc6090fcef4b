import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { expect, it } from 'vitest'
import { isOfUser } from './loopback.ts'
import { peerUser, tellsUsers } from './peer-user.ts'

const isLinux = process.platform === 'linux'

it.skipIf(!isLinux)('knows whose a connection is, over IPv4 and over IPv6 that stands for it', async () => {
  expect(await tellsUsers()).toBe(true)
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  for (const host of ['127.0.0.1', '::ffff:127.0.0.1']) {
    const near = connect(port, host)
    const [far] = (await once(server, 'connection')) as [Socket]
    expect(peerUser(far)).toBe(process.getuid?.())
    expect([isOfUser(far, process.getuid?.()), isOfUser(far, 4321), isOfUser(far, undefined)]).toEqual([
      true,
      false,
      true,
    ])
    near.destroy()
  }
  server.close()
  // Both ends are of this machine, but no such connection is open.
  expect(peerUser({ remotePort: 1, localPort: port })).toBe('unowned')
})
