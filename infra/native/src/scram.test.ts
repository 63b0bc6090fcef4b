import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { scramSha512 } from './scram.ts'

const hmac = (key: Buffer, message: string) => createHmac('sha512', key).update(message).digest()

/** The server's half of RFC 5802, which stores no password, only the salted keys made from it. */
function server(password: string, lie: { nonce?: string; verifier?: string } = {}) {
  const salt = Buffer.from('salt')
  const salted = pbkdf2Sync(password, salt, 4096, 64, 'sha512')
  const storedKey = createHash('sha512').update(hmac(salted, 'Client Key')).digest()
  let said: string[] = []
  let proven = false
  return {
    proven: () => proven,
    async exchange(message: Buffer): Promise<Buffer> {
      const text = message.toString()
      if (text.startsWith('n,,')) {
        const nonce = lie.nonce ?? `${/r=(.*)/.exec(text)?.[1]}server`
        said = [text.slice(3), `r=${nonce},s=${salt.toString('base64')},i=4096`]
        return Buffer.from(said[1] ?? '')
      }
      const [withoutProof = '', proof = ''] = text.split(',p=')
      const signed = [...said, withoutProof].join()
      const signature = hmac(storedKey, signed)
      const clientKey = Buffer.from(Buffer.from(proof, 'base64').map((byte, at) => byte ^ (signature[at] ?? 0)))
      proven = createHash('sha512').update(clientKey).digest().equals(storedKey)
      return Buffer.from(`v=${lie.verifier ?? hmac(hmac(salted, 'Server Key'), signed).toString('base64')}`)
    },
  }
}

describe('a login by SCRAM-SHA-512', () => {
  it('proves the password to a server that never had it', async () => {
    const right = server('secret')
    await scramSha512('admin', 'secret', right.exchange)
    expect(right.proven()).toBe(true)
  })

  it('proves nothing with another password, and accepts no answer to it', async () => {
    const other = server('secret')
    await expect(scramSha512('admin', 'guess', other.exchange)).rejects.toThrow('did not prove')
    expect(other.proven()).toBe(false)
  })

  it.each([
    ['an empty one', ''],
    ['that of another login', Buffer.alloc(64).toString('base64')],
  ])('refuses a server whose verifier is %s', async (_, verifier) => {
    await expect(scramSha512('admin', 'secret', server('secret', { verifier }).exchange)).rejects.toThrow(
      'did not prove',
    )
  })

  it('refuses a nonce that does not continue its own', async () => {
    await expect(scramSha512('admin', 'secret', server('secret', { nonce: 'old' }).exchange)).rejects.toThrow('nonce')
  })
})
