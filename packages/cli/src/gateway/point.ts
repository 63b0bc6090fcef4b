import { existsSync } from 'node:fs'
import { type Entity, entitySchemas } from '@bailiwick/contracts'
import {
  generateKey,
  type KeyPurpose,
  keyFilePath,
  readKeyFile,
  type SigningKey,
  thumbprint,
  writeKeyFile,
} from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { usableEntry } from '../new-entry.ts'
import type { PresentEntity } from '../present-entities.ts'
import type { Plan } from './plan.ts'

export interface PointOptions {
  /** The server's name in gateway.yaml: its address is `/mcp/<name>`. */
  name: string
  /** Where agents reach the gateway; undefined: as for the servers that it has, or on this machine. */
  publicUrl: string | undefined
  mayRelease: boolean
}

export interface DraftPoint {
  entry: Entity<'enforcement-point'>
  /** Writes the key files that do not exist yet. */
  writeKeys: () => string[]
}

const defaultUrl = 'http://localhost:8425'

/**
 * The gateway's own entry with one more server behind it. Its keys are those of the folder that gateway.yaml names, and are made where there
 * are none, as `keys point` makes them. Throws `config_invalid` where the registry knows the point by other keys.
 */
export function draftPoint(
  { point: id, keys, entry: { id: server } }: Pick<Plan, 'point' | 'keys' | 'entry'>,
  present: readonly PresentEntity[],
  { name, publicUrl, mayRelease }: PointOptions,
): DraftPoint {
  const found = present.find((entity) => entity.type === 'enforcement-point' && entity.id === id)
  const registered = found === undefined ? undefined : entitySchemas['enforcement-point'].parse(found.value)
  const caller = keyIn(keys, `${id}-caller`, 'pep-caller', registered?.caller_jwk)
  const outcome = keyIn(keys, `${id}-outcome`, 'outcome', registered?.outcome_jwk)
  const known = registered?.base_urls.find((url) => /\/mcp\/[^/]+$/.test(url))?.replace(/\/mcp\/[^/]+$/, '')
  const address = `${(publicUrl ?? known ?? defaultUrl).replace(/\/+$/, '')}/mcp/${name}`
  const { resources = [], base_urls = [] } = registered ?? {}
  const isGuarded = resources.some(
    (scope) => scope.type === 'tool' && 'id_prefix' in scope && scope.id_prefix === `${server}/`,
  )
  const entry = usableEntry(entitySchemas['enforcement-point'], {
    may_release: mayRelease,
    ...registered,
    id,
    caller_jwk: caller.key.publicJwk,
    outcome_jwk: outcome.key.publicJwk,
    resources: isGuarded ? resources : [...resources, { type: 'tool', id_prefix: `${server}/` }],
    base_urls: base_urls.includes(address) ? base_urls : [...base_urls, address],
  })
  return { entry, writeKeys: () => [caller, outcome].flatMap((each) => each.write()) }
}

function keyIn(
  folder: string,
  file: string,
  purpose: 'pep-caller' | 'outcome',
  registered: object | undefined,
): { key: SigningKey<KeyPurpose>; write: () => string[] } {
  const path = keyFilePath(folder, file)
  if (!existsSync(path)) {
    if (registered !== undefined)
      throw new ServiceError(
        'config_invalid',
        `the registry knows the enforcement point by a key that is not in ${path}: bring the file here, or name another point in gateway.yaml (point: NAME)`,
      )
    const key = generateKey(purpose)
    return {
      key,
      write: () => {
        writeKeyFile(folder, file, key)
        return [path]
      },
    }
  }
  const key = readKeyFile(folder, file, purpose)
  if (registered !== undefined && thumbprint(registered as never) !== key.kid)
    throw new ServiceError(
      'config_invalid',
      `the registry knows the enforcement point by another key than that in ${path}: use the right folder (keys: FOLDER), or name another point in gateway.yaml (point: NAME)`,
    )
  return { key, write: () => [] }
}
