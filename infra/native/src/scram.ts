import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto'

/**
 * The client's side of SCRAM-SHA-512 (RFC 5802, RFC 7677's construction with SHA-512, no channel binding). `exchange`
 * carries a message to the server and returns its answer. Rejects when the server does not prove that it knows the
 * password too. User names are used unchanged; they must not contain `,` or `=`.
 */
export async function scramSha512(
  username: string,
  password: string,
  exchange: (message: Buffer) => Promise<Buffer>,
): Promise<void> {
  const nonce = randomBytes(18).toString('base64')
  const first = `n=${username},r=${nonce}`
  const serverFirst = (await exchange(Buffer.from(`n,,${first}`))).toString()
  const { r: joined = '', s: salt = '', i: iterations = '' } = attributes(serverFirst)
  if (!joined.startsWith(nonce)) throw new Error('SCRAM: the nonce is not ours')
  const salted = pbkdf2Sync(password, Buffer.from(salt, 'base64'), Number(iterations), 64, 'sha512')
  const withoutProof = `c=biws,r=${joined}`
  const signed = `${first},${serverFirst},${withoutProof}`
  const clientKey = hmac(salted, 'Client Key')
  const clientSignature = hmac(createHash('sha512').update(clientKey).digest(), signed)
  const proof = Buffer.from(clientKey.map((byte, at) => byte ^ (clientSignature[at] ?? 0)))
  const serverFinal = await exchange(Buffer.from(`${withoutProof},p=${proof.toString('base64')}`))
  const verifier = Buffer.from(attributes(serverFinal.toString()).v ?? '', 'base64')
  const expected = hmac(hmac(salted, 'Server Key'), signed)
  if (verifier.length !== expected.length || !timingSafeEqual(verifier, expected))
    throw new Error('SCRAM: the server did not prove that it knows the password')
}

function attributes(message: string): Record<string, string> {
  return Object.fromEntries(message.split(',').map((pair) => [pair.slice(0, 1), pair.slice(2)]))
}

function hmac(key: Buffer, message: string): Buffer {
  return createHmac('sha512', key).update(message).digest()
}
