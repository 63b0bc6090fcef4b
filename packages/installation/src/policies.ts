import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { PolicySet } from '@bailiwick/contracts'
import { jcsHash } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'

/** The files of a policy directory, top level only, by name. */
export type PolicyFiles = ReadonlyMap<string, Uint8Array>

/** Whether a policy directory may hold a file of this name. */
export const isPolicyFile = (name: string): boolean =>
  name.endsWith('.cedar') || ['schema.cedarschema', 'entities.json', 'authzen.yaml'].includes(name)

/** Throws `config_invalid`, with the file and the reason, if the directory or a file in it cannot be read, or if it contains no policy. */
export function readPolicyFiles(directory: string): PolicyFiles {
  if (!existsSync(directory)) throw new ServiceError('config_invalid', `there is no policy directory ${directory}`)
  const names = readable(directory, () => readdirSync(directory))
    .filter(isPolicyFile)
    .sort()
  if (!names.some((name) => name.endsWith('.cedar')))
    throw new ServiceError('config_invalid', `there is no .cedar file in ${directory}`)
  return new Map(names.map((name) => [name, readable(name, () => readFileSync(join(directory, name)))]))
}

/** The names of the files that `readPolicyFiles` would read; none if the directory does not exist. */
export async function policyFileNames(directory: string): Promise<string[]> {
  const names = await readdir(directory).catch(() => [])
  return names.filter(isPolicyFile).sort()
}

function readable<T>(what: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown'
    throw new ServiceError('config_invalid', `policies: ${what} cannot be read: ${why}`, { cause })
  }
}

/** The policy set made of these files, named by SHA-256 of JCS of each file's hash by name. */
export function policySetOf(files: PolicyFiles): PolicySet {
  const hashes = Object.fromEntries([...files].map(([name, bytes]) => [name, sha256(bytes)]))
  return { id: 'active', hash: jcsHash(hashes), files: hashes }
}

/** Stores the files where a decision point looks for the set that the registry names. */
export function storePolicyFiles(directory: string, files: PolicyFiles): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  for (const [name, bytes] of files) writeFileSync(join(directory, name), bytes)
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('base64url')
