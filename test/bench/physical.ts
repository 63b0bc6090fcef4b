import crypto, { generateKeyPairSync, sign, verify } from 'node:crypto'
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { median, timed } from './measure.ts'

/** A file that is appended to: what a log that did nothing else would do for one event. */
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

export interface SignatureCounts {
  signs: number
  verifies: number
}

/** Counts every signature made and verified in this process from here on: what a path needs is counted, not estimated. */
export function countSignatures(): SignatureCounts & Disposable {
  const counts = { signs: 0, verifies: 0 }
  const subtle = Object.getPrototypeOf(globalThis.crypto.subtle) as SubtleCrypto
  const real = { sign: crypto.sign, verify: crypto.verify, subtleVerify: subtle.verify }
  const counting = <F extends (...args: never[]) => unknown>(what: keyof SignatureCounts, call: F): F =>
    new Proxy(call, {
      apply(target, self, args) {
        counts[what] += 1
        return Reflect.apply(target, self, args)
      },
    })
  crypto.sign = counting('signs', real.sign)
  crypto.verify = counting('verifies', real.verify)
  subtle.verify = counting('verifies', real.subtleVerify) // WebAuthn assertions are verified by Web Crypto
  syncBuiltinESMExports() // so that modules which imported them by name call the counting ones
  return Object.assign(counts, {
    [Symbol.dispose]() {
      crypto.sign = real.sign
      crypto.verify = real.verify
      subtle.verify = real.subtleVerify
      syncBuiltinESMExports()
    },
  })
}
