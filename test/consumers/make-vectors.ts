// Writes test/vectors/signed-events anew, with new keys. Run it only when the signed content changes: signatures differ
// each time.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { signedVectors } from './signed-vectors.ts'

const folder = join(import.meta.dirname, '../vectors/signed-events')
const { trust, vectors } = signedVectors()
mkdirSync(folder, { recursive: true })
writeFileSync(join(folder, 'trust.json'), trust)
writeFileSync(join(folder, 'events.json'), `${JSON.stringify(vectors, undefined, 2)}\n`)
