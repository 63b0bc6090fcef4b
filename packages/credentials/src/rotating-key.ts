import { existsSync, readdirSync } from 'node:fs'
import { ServiceError } from '@bailiwick/errors'
import type { KeyPurpose, SigningKey } from './keys.ts'
import { keyFilePath, readKeyFile, writeKeyFile } from './keys-folder.ts'

/**
 * The key of one purpose that a service signs with, which changes while it runs. Whoever reads its `kid` and then signs does so
 * without waiting in between, or takes `current` before.
 */
export interface RotatingKey<P extends KeyPurpose = KeyPurpose> extends SigningKey<P> {
  /** The key that signs now. Throws `service_unready` when none may. */
  readonly current: SigningKey<P>
  /**
   * From now on the first of these that is in the folder signs; none of them: nothing does. Gives its kid. A key that the
   * registry wants first, and that is not here, is the reason to look at what was copied. One whose file cannot be used is none, and
   * `onUnusable` is told why: its service goes on, since all instances of it would be chosen for at the same moment.
   */
  choose(kids: readonly string[], onUnusable?: (kid: string, why: string) => void): string | undefined
  /** Whether the key of this kid is in the folder. Throws as `readKeyFile` does for a file that cannot be used. */
  holds(kid: string): boolean
}

export interface KeyPlace<P extends KeyPurpose> {
  folder: string
  /** Of the first key's file; later ones add to it. */
  name: string
  purpose: P
  secret?: string | undefined
}

/**
 * Opens a service's keys of one purpose; until it is told otherwise the first one signs. Its file may be gone, as that of a key that was revoked should
 * be, where there are later ones. Throws as `readKeyFile` does.
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

/** Puts one more key of the purpose into the folder, for the day when it is to sign. */
export function keepLaterKey({ folder, name, secret }: KeyPlace<KeyPurpose>, key: SigningKey): void {
  writeKeyFile(folder, laterName(name, key.kid), key, secret)
}

/** Its own file alone is opened: a service that waits for one reads this while it acts, and there may be as many as there were rotations. */
function laterKey<P extends KeyPurpose>({ folder, name, purpose, secret }: KeyPlace<P>, kid: string) {
  const file = laterName(name, kid)
  if (!existsSync(keyFilePath(folder, file))) return undefined
  const key = readKeyFile(folder, file, purpose, secret)
  return key.kid === kid ? key : undefined
}

/** Whether the first key's file is not there any more, and those of later ones are. */
function isDeleted({ folder, name }: KeyPlace<KeyPurpose>): boolean {
  if (existsSync(keyFilePath(folder, name)) || !existsSync(folder)) return false
  return readdirSync(folder).some((file) => file.startsWith(`${name}-`) && /-[0-9a-f]{24}\.json$/.test(file))
}

const laterName = (name: string, kid: string) => `${name}-${Buffer.from(kid, 'base64url').toString('hex').slice(0, 24)}`

/** The very key that signs now: its `kid` stays what it is while its owner waits. Throws as `RotatingKey` does. */
export function currentKey<P extends KeyPurpose>(key: SigningKey<P> | RotatingKey<P>): SigningKey<P> {
  return 'current' in key ? key.current : key
}
