import { ServiceError } from '@bailiwick/errors'
import { encodeVkey, parseVkey, SIGNATURE_TYPE, type VerifierKey } from '@bailiwick/tlog'
import type { WitnessedLogs } from './witness.ts'

/**
 * Parses the list of logs to witness: one vkey per line, followed by the origin if that is not the key's name. Lines with the same origin
 * are keys of one log. Empty lines, and lines that begin with `#`, are ignored. Throws `config_invalid` with the line.
 */
export function parseLogs(text: string): WitnessedLogs {
  const logs = new Map<string, VerifierKey[]>()
  for (const [at, line] of text.split('\n').entries()) {
    const [, vkey, named] = /^\s*([^\s#]\S*)(?:\s+(\S.*?))?\s*$/.exec(line) ?? []
    if (vkey === undefined) {
      if (/^\s*(#|$)/.test(line)) continue
      throw wrong(at, 'is not a vkey')
    }
    const key = parseVkey(vkey)
    if (key === undefined) throw wrong(at, 'is not a vkey (name+id+key), or of a type that is not known here')
    if (key.type !== SIGNATURE_TYPE.ED25519) throw wrong(at, 'is the key of a witness, not of a log')
    const origin = named ?? key.name
    const keys = logs.get(origin) ?? []
    if (keys.some((known) => encodeVkey(known) === vkey)) throw wrong(at, 'stands there twice')
    logs.set(origin, [...keys, key])
  }
  if (logs.size === 0) throw new ServiceError('config_invalid', '--logs: the file names no log')
  return logs
}

function wrong(at: number, what: string): ServiceError {
  return new ServiceError('config_invalid', `--logs: line ${at + 1} ${what}`)
}
