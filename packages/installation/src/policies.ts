import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { PolicySet } from '@bailiwick/contracts'
import { jcsHash } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'

/** The files of a policy directory, top level only, by name. */
export type PolicyFiles = ReadonlyMap<string, Uint8Array>

const isPolicyFile = (name: string) =>
  name.endsWith('.cedar') || name === 'schema.cedarschema' || name === 'entities.json'

/** Throws `config_invalid` when the directory cannot be read or holds no policy. */
export function readPolicyFiles(directory: string): PolicyFiles {
  if (!existsSync(directory)) throw new ServiceError('config_invalid', `there is no policy directory ${directory}`)
  const names = readdirSync(directory).filter(isPolicyFile).sort()
  if (!names.some((name) => name.endsWith('.cedar')))
    throw new ServiceError('config_invalid', `there is no .cedar file in ${directory}`)
  return new Map(names.map((name) => [name, readFileSync(join(directory, name))]))
}

/** The policy set that these files are: named by SHA-256 of JCS of each file's hash by name. */
export function policySetOf(files: PolicyFiles): PolicySet {
  const hashes = Object.fromEntries([...files].map(([name, bytes]) => [name, sha256(bytes)]))
  return { id: 'active', hash: jcsHash(hashes), files: hashes }
}

/** Puts the files where a decision point looks for the set that the registry names. */
export function storePolicyFiles(directory: string, files: PolicyFiles): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  for (const [name, bytes] of files) writeFileSync(join(directory, name), bytes)
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('base64url')
