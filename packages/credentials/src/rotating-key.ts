import { existsSync, readdirSync } from 'node:fs'
import { ServiceError } from '@bailiwick/errors'
import type { KeyPurpose, SigningKey } from './keys.ts'
import { keyFilePath, readKeyFile, writeKeyFile } from './keys-folder.ts'

/**
 * A service's signing key for one purpose, which changes while the service runs. Code that reads `kid` and then signs must do so without
 * awaiting in between, or must take `current` first.
 */
export interface RotatingKey<P extends KeyPurpose = KeyPurpose> extends SigningKey<P> {
  /** The key that signs now. Throws `service_unready` if none may sign. */
  readonly current: SigningKey<P>
  /**
   * Lets the first of these keys that is in the folder sign from now on; if there is none, nothing signs. Returns its kid. If a key that
   * the registry prefers is missing here, check what was copied. A key with an unusable file counts as missing, and `onUnusable` gets the
   * reason: the service continues, because otherwise all its instances would fail at the same moment.
   */
  choose(kids: readonly string[], onUnusable?: (kid: string, why: string) => void): string | undefined
  /** Whether the key with this kid is in the folder. Throws the errors of `readKeyFile` if its file cannot be used. */
  holds(kid: string): boolean
}

export interface KeyPlace<P extends KeyPurpose> {
  folder: string
  /** The name of the first key's file; later keys append to it. */
  name: string
  purpose: P
  secret?: string | undefined
}

/**
 * Opens a service's keys of one purpose; the first key signs until another is chosen. If there are later keys, the first key's file may be
 * missing, because the file of a revoked key should be deleted. Throws the errors of `readKeyFile`.
 */
export function openRotatingKey<P extends KeyPurpose>(place: KeyPlace<P>): RotatingKey<P> {
  const { folder, name, purpose, secret } = place
  const held = new Map<string, SigningKey<P>>()
  let current = isDeleted(place) ? undefined : readKeyFile(folder, name, purpose, secret)
  if (current !== undefined) held.set(current.kid, current)
  const holds = (kid: string) => {
    const later = held.has(kid) ? undefined : laterKey(place, kid)
    if (later !== undefined) held.set(kid, later)
    return held.has(kid)
  }
  const now = () => {
    if (current === undefined) throw new ServiceError('service_unready', `no ${purpose} key may sign`)
    return current
  }
  return {
    purpose,
    get current() {
      return now()
    },
    get kid() {
      return now().kid
    },
    get alg() {
      return now().alg
    },
    get publicJwk() {
      return now().publicJwk
    },
    sign: (data) => now().sign(data),
    holds,
    choose(kids, onUnusable) {
      const isHere = (kid: string) => {
        try {
          return holds(kid)
        } catch (error) {
          onUnusable?.(kid, error instanceof Error ? error.message : 'its file cannot be read')
          return false
        }
      }
      const chosen = kids.find(isHere)
      current = chosen === undefined ? undefined : held.get(chosen)
      return chosen
    },
  }
}

/** Puts one more key of the purpose into the folder, to sign at a later time. */
export function keepLaterKey({ folder, name, secret }: KeyPlace<KeyPurpose>, key: SigningKey): void {
  writeKeyFile(folder, laterName(name, key.kid), key, secret)
}

/** Opens only that key's own file: a service that waits for a key reads this while it acts, and each rotation may have left a file. */
function laterKey<P extends KeyPurpose>({ folder, name, purpose, secret }: KeyPlace<P>, kid: string) {
  const file = laterName(name, kid)
  if (!existsSync(keyFilePath(folder, file))) return undefined
  const key = readKeyFile(folder, file, purpose, secret)
  return key.kid === kid ? key : undefined
}

/** Whether the first key's file is missing while later ones exist. */
function isDeleted({ folder, name }: KeyPlace<KeyPurpose>): boolean {
  if (existsSync(keyFilePath(folder, name)) || !existsSync(folder)) return false
  return readdirSync(folder).some((file) => file.startsWith(`${name}-`) && /-[0-9a-f]{24}\.json$/.test(file))
}

const laterName = (name: string, kid: string) => `${name}-${Buffer.from(kid, 'base64url').toString('hex').slice(0, 24)}`

/** The key object that signs now: its `kid` does not change while the caller awaits. Throws like `RotatingKey`. */
export function currentKey<P extends KeyPurpose>(key: SigningKey<P> | RotatingKey<P>): SigningKey<P> {
  return 'current' in key ? key.current : key
}
