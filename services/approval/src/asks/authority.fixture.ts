import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Agent } from '@bailiwick/contracts'
import { encodeBase64url, generateKey } from '@bailiwick/credentials'
import { systemClock } from '@bailiwick/kit'
import { origin } from '../approval.fixture.ts'

/** A SPIFFE authority with its trust bundle in a file, and agents that it vouches for. */
export class Spire implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'spire-'))
  readonly #key = generateKey('agent')
  readonly file = join(this.#folder, 'bundle.json')

  constructor() {
    writeFileSync(this.file, JSON.stringify({ keys: [{ ...this.#key.publicJwk, kid: 'spire-1', use: 'jwt-svid' }] }))
  }

  agent(id: string): Agent {
    const attestor = { kind: 'jwt_svid', bundle: { file: this.file } } as const
    return {
      id,
      name: id.slice(id.lastIndexOf('/') + 1),
      owner: 'olga',
      attestor,
      labels: [],
      proactive_requests: true,
    }
  }

  svid(sub: string, over: object = {}): string {
    const now = Math.floor(systemClock.now() / 1000)
    const claims = { sub, aud: [`${origin}/access/v1/requests`], iat: now, exp: now + 300, ...over }
    const part = (value: object) => encodeBase64url(JSON.stringify(value))
    const signed = `${part({ alg: 'ES256', kid: 'spire-1', typ: 'JWT' })}.${part(claims)}`
    return `${signed}.${encodeBase64url(this.#key.sign(Buffer.from(signed)))}`
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
