import { readFileSync } from 'node:fs'
import { ServiceError } from '@bailiwick/errors'
import { encodeVkey, type Policy, parsePolicy, type VerifierKey } from '@bailiwick/tlog'

/** Reads the policy of a log's own witnesses. Throws `config_invalid` for a policy that it cannot use. */
export function readPolicy(path: string, log: VerifierKey): Policy {
  const read = parsePolicy(fileOf(path))
  if (!read.ok) throw wrong(`${path}, line ${read.line}: ${read.reason}`)
  const { logs, witnesses } = read.policy
  if (logs.length > 0 && !logs.some(({ key }) => encodeVkey(key) === encodeVkey(log)))
    throw wrong(`${path} is about other logs than ${encodeVkey(log)}`)
  for (const { key, url } of witnesses)
    if (!isAddress(url)) throw wrong(`${path}: ${key.name} needs its submission prefix, an http or https URL`)
  return read.policy
}

function fileOf(path: string): Uint8Array {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new ServiceError('config_invalid', `BAILIWICK_WITNESS_POLICY: ${path} cannot be read`, { cause })
  }
}

function isAddress(text: string | undefined): boolean {
  const url = text === undefined ? null : URL.parse(text)
  return url !== null && /^https?:$/.test(url.protocol) && url.username === '' && url.search === '' && url.hash === ''
}

function wrong(detail: string): ServiceError {
  return new ServiceError('config_invalid', `BAILIWICK_WITNESS_POLICY: ${detail}`)
}
