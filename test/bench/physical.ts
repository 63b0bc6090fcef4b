import { generateKeyPairSync, sign, verify } from 'node:crypto'
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { median, timed } from './measure.ts'

/** Appends to a file, as a log that did nothing else would for one event. */
export class AppendedFile implements Disposable {
  readonly #handle: number

  constructor(dir: string) {
    this.#handle = openSync(join(dir, 'appended'), 'a', 0o600)
  }

  append(bytes: Uint8Array): void {
    if (writeSync(this.#handle, bytes) !== bytes.length) throw new Error('a short write')
    fdatasyncSync(this.#handle)
  }

  [Symbol.dispose](): void {
    closeSync(this.#handle)
  }
}

/** Median of one ES256 signature and one verification by node:crypto, over as many bytes as an event has, in ms. */
export async function signatureCosts(bytes: Uint8Array): Promise<{ signMs: number; verifyMs: number }> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const signing = { key: privateKey, dsaEncoding: 'ieee-p1363' as const }
  const verifying = { key: publicKey, dsaEncoding: 'ieee-p1363' as const }
  const signature = sign('sha256', bytes, signing)
  const signs: number[] = []
  const verifies: number[] = []
  for (let n = 0; n < 1200; n++) {
    signs.push(await timed(() => sign('sha256', bytes, signing)))
    verifies.push(await timed(() => verify('sha256', bytes, verifying, signature)))
  }
  return { signMs: median(signs.slice(200)), verifyMs: median(verifies.slice(200)) }
}
