import { parseTrust } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { isInitialised, readInstallation } from '@bailiwick/installation'
import {
  distinctName,
  encodeVkey,
  type NoteSigner,
  type Policy,
  parsePolicy,
  parseVkey,
  SIGNATURE_TYPE,
  type VerifierKey,
} from '@bailiwick/tlog'
import { bodyOf } from '@bailiwick/verify'
import { readInput } from './read-input.ts'

export const LARGEST_NOTE = 65_536
const ANSWER_MS = 30_000
const LARGEST_POLICY = 1024 * 1024

export interface LogTrustOptions {
  data: string
  /** The location of the log; default: the data directory's log. */
  log?: string
  /** A vkey, or a file or an address that contains one. */
  vkey?: string
}

/** Reads the file that `--witness` names (C2SP tlog-policy). Throws `config_invalid` with the faulty line. */
export function readPolicy(path: string): Policy {
  const read = parsePolicy(readInput('--witness', path, LARGEST_POLICY))
  if (read.ok) return read.policy
  throw new ServiceError('config_invalid', `--witness: ${path}, line ${read.line}: ${read.reason}`)
}

/**
 * The key that must have signed: that of `--vkey`; otherwise the only log of the policy; otherwise that of the installation. A policy that
 * names logs must name this one. Throws `config_invalid`.
 */
export async function logKeyOf({ log, vkey, data }: LogTrustOptions, policy?: Policy): Promise<VerifierKey> {
  const [only, ...more] = policy?.logs ?? []
  if (vkey === undefined && only !== undefined && more.length === 0) return only.key
  if (vkey === undefined && log !== undefined)
    throw new ServiceError('config_invalid', '--log needs --vkey: a key that lies beside the log proves nothing')
  const text = vkey ?? readInstallation(data).trust.log.vkey
  const key = parseVkey(text.trim()) ?? parseVkey(await keyTextAt(text))
  if (key === undefined) throw new ServiceError('config_invalid', `--vkey: ${text} holds no verifier key (name+id+key)`)
  if (key.type !== SIGNATURE_TYPE.ED25519)
    throw new ServiceError('config_invalid', `--vkey: ${encodeVkey(key)} is the key of a witness, not of a log`)
  const listed = policy === undefined || policy.logs.length === 0 ? [key] : policy.logs.map((each) => each.key)
  if (!listed.some((each) => encodeVkey(each) === encodeVkey(key)))
    throw new ServiceError('config_invalid', `--witness: the policy is about other logs than ${encodeVkey(key)}`)
  return key
}

/** `x` of a P-256 key. */
const ROOT_KEY = /^[0-9A-Za-z_-]{43}$/

/**
 * The root key (`trust.root.jwk.x`) to which a bundle must trace back: from `--root`, a key, or a file that contains one, or a
 * `trust.json`; otherwise the data directory's. '' if there is neither. Throws `config_invalid`.
 */
export function trustedRoot({ root, data }: { root?: string; data: string }): string {
  if (root === undefined) return isInitialised(data) ? readInstallation(data).trust.root.jwk.x : ''
  if (ROOT_KEY.test(root)) return root
  const file = readInput('--root', root, LARGEST_POLICY)
  const text = file.toString('utf8').trim()
  if (ROOT_KEY.test(text)) return text
  try {
    return parseTrust(file).root.jwk.x
  } catch (cause) {
    throw new ServiceError('config_invalid', `--root: ${root} holds no root key, and is no trust.json`, { cause })
  }
}

/** An address is only for a first look: the server of the log could serve another key with it. */
async function keyTextAt(place: string): Promise<string> {
  if (!/^https?:\/\//.test(place)) return readInput('--vkey', place, LARGEST_NOTE).toString('utf8').trim()
  try {
    const answer = await fetch(place, { redirect: 'manual', signal: AbortSignal.timeout(ANSWER_MS) })
    const text = answer.status === 200 ? await bodyOf(answer, LARGEST_NOTE) : ''
    return Buffer.from(text).toString('utf8').trim()
  } catch (cause) {
    throw new ServiceError('service_unready', `--vkey: ${place} does not answer`, { cause })
  }
}

/** The cosigners and their times, for people and machines. */
export function cosigners(witnesses: readonly NoteSigner[]): { name: string; time: string }[] {
  return witnesses.map(({ key, timestamp = 0 }) => ({
    name: distinctName(
      key,
      witnesses.map((each) => each.key),
    ),
    time: timestamp * 1000 > LAST_DATE ? `${timestamp}` : new Date(timestamp * 1000).toISOString(),
  }))
}

/** ECMAScript has no later date; a cosignature may have one. */
const LAST_DATE = 8.64e15
