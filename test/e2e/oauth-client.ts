import { setTimeout as pause } from 'node:timers/promises'
import { exportPrivateKey, type SigningKey } from '@bailiwick/credentials'
import { sampleKey } from '@bailiwick/standalone/sample'
import * as client from 'openid-client'
import { agentId } from './agent-side.ts'
import type { World } from './world.ts'

/** A key of ours in WebCrypto form. */
export async function keyPair(key: SigningKey): Promise<{ privateKey: CryptoKey; publicKey: CryptoKey }> {
  const { d: _, ...publicJwk } = exportPrivateKey(key)
  const algorithm = key.alg === 'ES256' ? { name: 'ECDSA', namedCurve: 'P-256' } : { name: 'Ed25519' }
  const { subtle } = crypto
  return {
    privateKey: await subtle.importKey('jwk', { ...exportPrivateKey(key) }, algorithm, false, ['sign']),
    publicKey: await subtle.importKey('jwk', { ...publicJwk }, algorithm, true, ['verify']),
  }
}

/** openid-client as any user installs it: discovery, then `private_key_jwt`. The world must listen. */
export async function oauthClient(world: World, { id = agentId(), key }: { id?: string; key?: SigningKey } = {}) {
  const pair = await keyPair(key ?? sampleKey(world.data, 'reconciler'))
  const configuration = await client.discovery(
    new URL(world.url),
    id,
    undefined,
    client.PrivateKeyJwt({ key: pair.privateKey }),
    { algorithm: 'oauth2', execute: [client.allowInsecureRequests] },
  )
  return { configuration, DPoP: client.getDPoPHandle(configuration, pair), pair }
}

/**
 * Listens, and waits for the second after the issuer's start. An assertion signed in the same second as the start may
 * have been counted by the previous issuer, so its sender is asked to come again, which not every client does.
 */
export async function listen(world: World): Promise<void> {
  await world.http.listen({ port: Number(new URL(world.url).port) })
  await pause(1000 - (Date.now() % 1000))
}
