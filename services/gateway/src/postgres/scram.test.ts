import { createHash, createHmac } from 'node:crypto'
import { systemRandom } from '@bailiwick/kit'
import { describe, expect, it } from 'vitest'
import { ScramClient, verifierOf } from './scram.ts'

/** RFC 7677 §3. Its user has a name; PostgreSQL takes it from the start-up, so ours has none, and the signatures differ. */
const salt = 'W22ZaJ0SNY7soEsUEjb6gQ=='

/** The server's side, from the verifier that it keeps (RFC 5802 §3). */
async function exchange(password: string, verifier: string, change = (final: string) => final) {
  const client = new ScramClient(password, systemRandom)
  const [, iterations = '', kept = '', storedKey = '', serverKey = ''] =
    /^SCRAM-SHA-256\$(\d+):(.+)\$(.+):(.+)$/.exec(verifier) ?? []
  const bare = client.first().replace(/^n,,/, '')
  const serverFirst = `r=${bare.replace(/^n=,r=/, '')}server,s=${kept},i=${iterations}`
  const final = await client.final(serverFirst)
  const [withoutProof = '', proof = ''] = final.split(',p=')
  const message = `${bare},${serverFirst},${withoutProof}`
  const hmac = (key: Buffer) => createHmac('sha256', key).update(message).digest()
  const stored = Buffer.from(storedKey, 'base64')
  const signature = hmac(stored)
  const clientKey = Buffer.from(proof, 'base64').map((byte, n) => byte ^ (signature[n] ?? 0))
  const isKnown = createHash('sha256').update(clientKey).digest().equals(stored)
  client.verify(change(`v=${hmac(Buffer.from(serverKey, 'base64')).toString('base64')}`))
  return isKnown
}

it('proves the password to a server that keeps its verifier, and no other password', async () => {
  const verifier = await verifierOf('pencil', systemRandom)
  expect(await exchange('pencil', verifier)).toBe(true)
  await expect(exchange('pencils', verifier)).rejects.toThrow('does not know the password')
})

it('believes no server that does not know the password', async () => {
  const verifier = await verifierOf('pencil', systemRandom)
  for (const said of ['v=', 'v=AAAA', 'e=other-error', `v=${Buffer.alloc(32).toString('base64')}`])
    await expect(exchange('pencil', verifier, () => said)).rejects.toThrow('does not know the password')
})

describe.each<[string, (nonce: string) => string]>([
  ['another nonce', () => `r=other,s=${salt},i=4096`],
  ['a nonce without its own part', (nonce) => `r=${nonce},s=${salt},i=4096`],
  ['few iterations', (nonce) => `r=${nonce}x,s=${salt},i=1`],
  ['iterations without end', (nonce) => `r=${nonce}x,s=${salt},i=9999999`],
  ['no salt', (nonce) => `r=${nonce}x,s=,i=4096`],
  ['an extension', (nonce) => `m=x,r=${nonce}x,s=${salt},i=4096`],
])('a server with %s', (_, serverFirst) => {
  it('gets no proof', async () => {
    const client = new ScramClient('pencil', systemRandom)
    await expect(client.final(serverFirst(client.first().replace('n,,n=,r=', '')))).rejects.toThrow()
  })
})
