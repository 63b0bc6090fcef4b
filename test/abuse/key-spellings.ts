import { createPublicKey } from 'node:crypto'

export interface JsonWebKeyEc {
  kty: string
  crv: string
  x: string
  y: string
}

/** A public key in the spellings that could be mistaken for a secret. */
export function spellingsOf(jwk: JsonWebKeyEc): Record<string, string | Buffer> {
  const { kty, crv, x, y } = jwk
  const key = createPublicKey({ key: { ...jwk }, format: 'jwk' })
  const pem = key.export({ type: 'spki', format: 'pem' }).toString()
  const der = key.export({ type: 'spki', format: 'der' })
  const point = Buffer.concat([Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')])
  return {
    'the JWK': JSON.stringify(jwk),
    'the JWK of its thumbprint': JSON.stringify({ crv, kty, x, y }),
    'the JWK Set': JSON.stringify({ keys: [jwk] }),
    'the PEM': pem,
    'the PEM without its last line end': pem.trim(),
    'the PEM with other line ends': pem.replaceAll('\n', '\r\n'),
    'the DER': der,
    'the DER in base64': der.toString('base64'),
    'the DER in base64url': der.toString('base64url'),
    'the DER in hex': der.toString('hex'),
    'the point': point,
    'the point as SEC 1 has it': Buffer.concat([Buffer.from([4]), point]),
    x: x,
    'the bytes of x': Buffer.from(x, 'base64url'),
    nothing: '',
  }
}
