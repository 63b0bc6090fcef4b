import { Worker } from 'node:worker_threads'
import { ServiceError } from '@bailiwick/errors'
import { readPolicyFiles } from '@bailiwick/installation'
import type { EntityJson } from '@cedar-policy/cedar-wasm/nodejs'
import { exactInteger } from './exact-json.ts'
import { loadPolicySet, type PolicySet } from './policy-set.ts'

/** Total bytes of all files: below this, starting a thread takes longer than reading them. */
const atOnceBytes = 32_768
/** ms until a set must be read, even on a busy machine. */
const longestMs = 120_000

/** The thread's messages: entities, in chunks small enough to receive without delay, then the rest; or why there is no set. */
export type ReadAside = { entities: EntityJson[] } | { set: Omit<PolicySet, 'entities'> } | { refused: string }

/** Like `readPolicyDirectory`, without blocking this thread (V18): Cedar takes seconds to read and validate some thousand entities. */
export async function readPolicyDirectoryAside(directory: string): Promise<PolicySet> {
  const files = readPolicyFiles(directory)
  const bytes = [...files.values()].reduce((sum, { length }) => sum + length, 0)
  if (bytes <= atOnceBytes) return loadPolicySet(files)
  const { promise, resolve, reject } = Promise.withResolvers<PolicySet>()
  const worker = new Worker(new URL('./policy-set-worker.ts', import.meta.url), {
    workerData: files,
    env: {},
    stderr: true,
    stdout: true,
  })
  worker.unref()
  // Its output is discarded, because it may quote policies.
  worker.stdout.resume()
  worker.stderr.resume()
  const entities: EntityJson[] = []
  worker.on('message', (told: ReadAside) => {
    if ('entities' in told) for (const entity of told.entities) entities.push(withDigits(entity))
    else if ('refused' in told) reject(new ServiceError('config_invalid', told.refused))
    else resolve({ ...told.set, entities })
  })
  worker.on('error', reject)
  worker.on('exit', () => reject(new Error('the thread ended by itself')))
  const late = setTimeout(() => reject(new Error(`not read within ${longestMs} ms`)), longestMs).unref()
  try {
    return await promise
  } finally {
    clearTimeout(late)
    await worker.terminate()
  }
}

/** A number that keeps its digits cannot be passed between threads; a bigint can. */
function withDigits<T>(value: T): T {
  if (typeof value === 'bigint') return exactInteger(value) as T
  if (typeof value !== 'object' || value === null) return value
  for (const [name, member] of Object.entries(value)) (value as Record<string, unknown>)[name] = withDigits(member)
  return value
}
