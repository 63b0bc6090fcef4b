import { parentPort, workerData } from 'node:worker_threads'
import { ServiceError } from '@bailiwick/errors'
import type { PolicyFiles } from '@bailiwick/installation'
import type { EntityJson } from '@cedar-policy/cedar-wasm/nodejs'
import { isExactInteger } from './exact-json.ts'
import { loadPolicySet } from './policy-set.ts'
import type { ReadAside } from './policy-set-thread.ts'

// A thread that reads one policy set for `readPolicyDirectoryAside`.

if (!parentPort) throw new Error('a thread of its own')
const port = parentPort
const tell = (told: ReadAside) => port.postMessage(told)
const entitiesAtOnce = 500

try {
  const { entities, ...set } = loadPolicySet(workerData as PolicyFiles)
  for (let n = 0; n < entities.length; n += entitiesAtOnce)
    tell({ entities: entities.slice(n, n + entitiesAtOnce).map(spelled) })
  tell({ set })
} catch (error) {
  if (!(error instanceof ServiceError) || error.detail === undefined) throw error
  tell({ refused: error.detail })
}

function spelled(entity: EntityJson): EntityJson {
  return withBigints(entity) as EntityJson
}

function withBigints(value: unknown): unknown {
  if (isExactInteger(value)) return BigInt(JSON.stringify(value))
  if (Array.isArray(value)) return value.map(withBigints)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, withBigints(member)]))
}
