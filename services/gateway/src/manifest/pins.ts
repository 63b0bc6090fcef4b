import { readFileSync } from 'node:fs'
import { jcs, sha256 } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { readStrictJson } from '@bailiwick/kit'
import { usableTools } from '@bailiwick/mcp'
import {
  type Described,
  describedIn,
  isPinned,
  isSameServer,
  type Manifest,
  manifestHash,
  parseManifest,
} from './manifest.ts'

/** What people approved of a server, if the gateway has it: it then knows which tool changed, and goes on serving the others. */
export interface Pin {
  readonly manifest: Manifest
  readonly hash: string
}

const longestPin = 16 * 1024 * 1024

/** Reads a pin file. Throws `config_invalid`. */
export function readPin(file: string): Pin {
  let bytes: Buffer
  try {
    bytes = readFileSync(file)
  } catch (error) {
    throw new ServiceError('config_invalid', `${file} cannot be read: make it with bailiwick gateway pin`, {
      cause: error,
    })
  }
  return parsePin(bytes, file)
}

/** The text of a pin file: indented for people, unless it would be too long to be read again. */
export function pinFileText(manifest: Manifest): string {
  const indented = `${JSON.stringify(manifest, undefined, 2)}\n`
  return Buffer.byteLength(indented) <= longestPin ? indented : `${jcs(manifest)}\n`
}

/** The bytes of a pin file that is read back as this very pin. Throws `config_invalid` if there are none. */
export function pinFileOf({ manifest, hash }: Pin, file: string): Buffer {
  const bytes = Buffer.from(pinFileText(manifest))
  if (parsePin(bytes, file).hash !== hash) throw new ServiceError('config_invalid', `${file}: it reads as another pin`)
  return bytes
}

/** As `readPin`, for bytes. */
export function parsePin(bytes: Uint8Array, file: string): Pin {
  // As servers are read, with all numbers: a manifest that was hashed and approved must be readable here.
  const json = readStrictJson(bytes, { maxBytes: longestPin, maxDepth: 64, exactNumbers: false })
  if (!json.ok) throw new ServiceError('config_invalid', `${file}: ${json.detail}`)
  const manifest = parseManifest(json.value, file)
  return { manifest, hash: manifestHash(manifest) }
}

/**
 * The hash to ask with for what the server does not describe, or describes so that it can be taken for something else. No human signed it,
 * so the decision point denies it, and the denial is evidence.
 */
export const hashOfUndescribed = (now: Pin, kind: Described, name: string): string =>
  sha256(jcs(['bailiwick-mcp-undescribed-v1', now.hash, kind, name]))

/**
 * The manifest hash with which the decision point is asked. It allows only a hash that humans signed. For a description that is still the
 * pinned one, this is the pin's hash; for everything else, the hash of the server as it is now, which no human signed.
 */
export function hashFor(pin: Pin | undefined, now: Pin, kind: Described | undefined, name: string | undefined): string {
  if (pin === undefined || pin.hash === now.hash || !isSameServer(pin.manifest, now.manifest)) return now.hash
  if (kind === undefined || name === undefined) return pin.hash
  return isPinned(pin.manifest, now.manifest, kind, name) ? pin.hash : now.hash
}

/** Whether the server describes it, under a name that nothing else of it has: what no list shows is not called either. */
export const isUsable = (manifest: Manifest, kind: Described, name: string): boolean =>
  describedIn(manifest, kind, name) !== undefined &&
  (kind !== 'tools' || usableTools(Object.keys(manifest.tools)).has(name))
