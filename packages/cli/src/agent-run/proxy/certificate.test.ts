import { generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer } from 'node:tls'
import { systemRandom } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { authorityCertificate, serverCertificate } from './certificate.ts'
import { runAuthority } from './run-authority.ts'

const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' })
const now = Date.now()
const times = { notBefore: now - 60_000, notAfter: now + 60_000 }
const name = 'bailiwick agent run test'
const authority = newKey()
const server = newKey()
const ca = authorityCertificate(
  { ...times, serial: Uint8Array.of(1), subject: name, publicKey: authority.publicKey, hosts: ['api.example.com'] },
  authority.privateKey,
)

/** What a client that trusts this authority alone says of a server with this certificate. */
async function handshake(host: string, cert: string): Promise<string> {
  const key = server.privateKey.export({ type: 'pkcs8', format: 'pem' })
  const listening = createServer({ key, cert }).listen(0, '127.0.0.1')
  listening.on('tlsClientError', () => undefined)
  await once(listening, 'listening')
  const { port } = listening.address() as AddressInfo
  const socket = connect({ host: '127.0.0.1', port, servername: host, ca })
  try {
    await once(socket, 'secureConnect')
    return 'trusted'
  } catch (error) {
    return (error as Error).message
  } finally {
    socket.destroy()
    listening.close()
  }
}

const certified = (host: string, more: object = {}) =>
  serverCertificate(
    {
      ...{ ...times, serial: randomBytes(8).map((byte) => byte & 0x7f), issuer: name, publicKey: server.publicKey },
      ...{ host, authorityKey: authority.publicKey, ...more },
    },
    authority.privateKey,
  )

it('certifies its own hosts, and nothing else even with its key stolen (V12)', async () => {
  expect(await handshake('api.example.com', certified('api.example.com'))).toBe('trusted')
  expect(await handshake('evil.example', certified('evil.example'))).toBe('permitted subtree violation')
  expect(await handshake('example.com', certified('example.com'))).toBe('permitted subtree violation')
  const late = certified('api.example.com', { notBefore: now - 60_000, notAfter: now - 1000 })
  expect(await handshake('api.example.com', late)).toBe('certificate has expired')
})

it('makes an authority of its own for each run, whose certificate ends with the day and which knows no other host', () => {
  const [one, other] = [1, 2].map(() => runAuthority(['api.example.com'], { now, random: systemRandom }))
  const read = new X509Certificate(one?.certificate ?? '')
  expect([read.ca, read.verify(read.publicKey)]).toEqual([true, true])
  expect(Date.parse(read.validTo) - now).toBeLessThanOrEqual(9 * 3600_000)
  expect(one?.certificate).not.toBe(other?.certificate)
  expect(() => one?.contextOf('evil.example')).toThrow(RangeError)
})
