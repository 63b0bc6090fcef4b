import { writeFileSync } from 'node:fs'
import { encodeTrust, generateKey, type SigningKey, signTrust, type Trust } from '@bailiwick/credentials'
import { encodeVkey } from '@bailiwick/tlog'
import type { Folder } from './io.fixture.ts'
import { logKey } from './log.fixture.ts'

/** Puts a trust anchor into a data directory, with the log key of `log.fixture.ts`. */
export function installation(
  folder: Folder,
  publicUrl = 'http://localhost:8420',
  root: SigningKey<'root'> = generateKey('root'),
): Trust {
  const installation = 'ins_0123456789abcdef0123'
  const facts = {
    v: 1 as const,
    installation,
    root: { jwk: root.publicJwk as Trust['root']['jwk'] },
    log: { vkey: encodeVkey(logKey().verifier) },
    rp_id: 'localhost',
    origins: [publicUrl],
    single_operator: true,
    invitation: { jwk: generateKey('invitation').publicJwk as Trust['root']['jwk'] },
    public_url: publicUrl,
    created_at: '2026-11-24T18:00:00.000Z',
  }
  const trust = signTrust(facts, root)
  writeFileSync(folder.at('trust.json'), encodeTrust(trust))
  return trust
}
