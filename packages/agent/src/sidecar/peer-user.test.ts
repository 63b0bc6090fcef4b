import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { acceptAt, onlyOfUser } from './loopback.ts'
import { peerUser, tellsUsers } from './peer-user.ts'

describe.skipIf(process.platform !== 'linux')('on Linux', () => {
  const me = process.getuid?.() ?? -1
  let server: Server
  let port = 0
  beforeEach(async () => {
    server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    ;({ port } = server.address() as AddressInfo)
  })
  afterEach(() => server.close())

  async function connected(more: { host?: string; localAddress?: string; localPort?: number } = {}) {
    const near = connect({ host: '127.0.0.1', port, ...more })
    const [far] = (await once(server, 'connection')) as [Socket]
    return { near, far, [Symbol.dispose]: () => void [near.destroy(), far.destroy()] }
  }

  it('knows whose a connection is, over IPv4 and over IPv6 that stands for it', async () => {
    expect(await tellsUsers()).toBe(true)
    for (const host of ['127.0.0.1', '::ffff:127.0.0.1']) {
      using open = await connected({ host })
      expect(peerUser(open.far)).toBe(me)
    }
  })

  it('takes no connection for another one of the same ports (V11)', async () => {
    using open = await connected()
    const { remoteAddress, remotePort, localAddress, localPort } = open.far
    const ends = { remoteAddress, remotePort, localAddress, localPort }
    expect(peerUser(ends)).toBe(me)
    // A program of another user can have the same port at another address of this machine, and show it here.
    expect(peerUser({ ...ends, remoteAddress: '127.0.0.2' })).toBeUndefined()
    expect(peerUser({ ...ends, localAddress: '127.0.0.2' })).toBeUndefined()
    expect(peerUser({ ...ends, remotePort: 1 })).toBeUndefined()
    expect(peerUser({})).toBeUndefined()
    using other = await connected({ localAddress: '127.0.0.2', localPort: remotePort ?? 0 })
    expect(other.far.remoteAddress).toBe('127.0.0.2')
    expect(peerUser(other.far)).toBe(me)
  })

  it('names no user for an end that its program closed: the kernel would write root (V11)', async () => {
    using open = await connected()
    const { remoteAddress, remotePort, localAddress, localPort } = open.far
    open.near.destroy()
    await once(open.near, 'close')
    expect(peerUser({ remoteAddress, remotePort, localAddress, localPort })).toBeUndefined()
  })

  it('closes what is not of the user, before a word was said (V11)', async () => {
    const front = createHttpServer().listen(0, '127.0.0.1')
    onlyOfUser(front, 4321)
    await once(front, 'listening')
    const near = connect((front.address() as AddressInfo).port, '127.0.0.1')
    near.on('error', () => undefined).resume()
    await once(near, 'close')
    // A connection that its caller vouched for stays.
    using open = await connected()
    acceptAt(front, open.far)
    expect(open.far.destroyed).toBe(false)
    front.close()
  })
})
