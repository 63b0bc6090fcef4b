import { readSecretFile } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { type Clock, systemClock } from '@bailiwick/kit'
import { runForSecret } from './exec.ts'
import { Secret, type SecretPort } from './secret-port.ts'
import { readVault, type VaultOptions } from './vault.ts'

export interface SecretsOptions {
  /** The environment that `env:` reads. Pass a copy with the names that may be read, not all of it. */
  env?: Readonly<Record<string, string | undefined>>
  /** A server that speaks the HTTP API of Vault's KV version 2. Without it, `vault:` is refused. */
  vault?: VaultOptions
  /** How long a value counts before it is read again; default 30 s. That of a file counts for one second. */
  freshMs?: number
  /** How long the last value counts if it cannot be read again; default 5 min. */
  staleMs?: number
  clock?: Pick<Clock, 'monotonic'>
}

type Read = (place: string) => string | Promise<string>

interface Kept {
  secret: Secret
  readAt: number
  isDoubted: boolean
  /** The last doubt led to the same value, so another one counts only from this time on. */
  sureUntil: number
  /** When it could last not be read. */
  failedAt: number
}

/** A file is read again after this time. So is any other value, if an upstream refused it. */
const leastMs = 1000

/** Visible ASCII, which a header field can hold, without a line end, which would begin another field. */
const usable = /^[\x21-\x7e](?:[\x20-\x7e]{0,16382}[\x21-\x7e])?$/

/**
 * Reads secrets by the scheme of their reference. A reference is read once at a time, however many calls wait for it, and its value is kept
 * only in memory.
 */
export function openSecrets(options: SecretsOptions = {}): SecretPort {
  const { env = {}, vault, freshMs = 30_000, staleMs = 300_000, clock = systemClock } = options
  const schemes: Record<string, Read | undefined> = {
    file: (path) =>
      readSecretFile(path, { setting: 'secret' })
        .toString()
        .replace(/\r?\n$/, ''),
    env: (name) => env[name] ?? missing(),
    exec: (command) => runForSecret(command),
    vault: vault && ((place) => readVault(vault, place, (reference) => port.read(reference))),
  }
  const kept = new Map<string, Kept>()
  const reading = new Map<string, Promise<Secret>>()

  function split(reference: string): { read: Read; place: string } {
    const [, scheme = '', place = ''] = /^([a-z]+):(.+)$/s.exec(reference) ?? []
    const read = Object.hasOwn(schemes, scheme) ? schemes[scheme] : undefined
    if (read === undefined || place === '')
      throw new ServiceError('config_invalid', `no secret can be read here as ${scheme === '' ? 'that' : scheme}`)
    return { read, place }
  }

  async function readNow(reference: string): Promise<Secret> {
    const { read, place } = split(reference)
    const was = kept.get(reference)
    try {
      const value = await read(place)
      if (!usable.test(value)) throw new Error('not visible ASCII in one line')
      const secret = was?.secret.reveal() === value ? was.secret : new Secret(value)
      const readAt = clock.monotonic()
      const sureUntil = was?.isDoubted && secret === was.secret ? readAt + freshMs : readAt
      kept.set(reference, { secret, readAt, isDoubted: false, sureUntil, failedAt: -Infinity })
      return secret
    } catch {
      const failedAt = clock.monotonic()
      if (was && failedAt - was.readAt < staleMs) {
        kept.set(reference, { ...was, failedAt })
        return was.secret
      }
      kept.delete(reference)
      // Without the cause: a message of another program may quote the secret.
      throw new ServiceError('secret_unavailable', `${reference} cannot be read`)
    }
  }

  function isFresh(reference: string, { readAt, isDoubted, failedAt }: Kept): boolean {
    const now = clock.monotonic()
    const age = now - readAt
    if (reference.startsWith('file:')) return !isDoubted && age < Math.min(leastMs, freshMs)
    // Not each call waits for a source that is down.
    if (now - failedAt < leastMs && age < staleMs) return true
    return age < (isDoubted ? Math.min(leastMs, freshMs) : freshMs)
  }

  const port: SecretPort = {
    check: (reference) => void split(reference),
    doubt(reference) {
      const known = kept.get(reference)
      // An agent can cause a refusal at will. It must not have a slow source read with each call.
      if (known && (reference.startsWith('file:') || clock.monotonic() >= known.sureUntil)) known.isDoubted = true
    },
    async read(reference) {
      const known = kept.get(reference)
      if (known && isFresh(reference, known)) return known.secret
      const under = reading.get(reference)
      if (under) return under
      const read = readNow(reference).finally(() => reading.delete(reference))
      reading.set(reference, read)
      return read
    },
  }
  return port
}

function missing(): never {
  throw new Error('not set')
}
