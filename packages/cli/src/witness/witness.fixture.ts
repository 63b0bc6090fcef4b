import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { logger, metrics } from '@bailiwick/host'
import { type DurableFs, seededRandom, systemRandom, type TestClock, testClock } from '@bailiwick/kit'
import {
  consistencyProofOf,
  encodeAddCheckpoint,
  leafHash,
  rootOf,
  SIGNATURE_TYPE,
  SignerKey,
  signCheckpoint,
} from '@bailiwick/tlog'
import { startWitness } from './start-witness.ts'
import { encodeState, statePath } from './witness-state.ts'

export const witnessKey = new SignerKey('witness.example/w', seededRandom(99)(32), SIGNATURE_TYPE.COSIGNATURE)

/** A log of 700 entries. Another `word` gives a log with the same key, but other entries from `differsFrom` on. */
export function aLog({ name = 'log.example/a', word = 'entry', differsFrom = 0 } = {}) {
  const key = new SignerKey(name, seededRandom(name.length)(32), SIGNATURE_TYPE.ED25519)
  const leaves = Array.from({ length: 700 }, (_, n) =>
    leafHash(Buffer.from(n < differsFrom ? `entry ${n}` : `${word} ${n}`)),
  )
  const checkpoint = (size: number, extensions: readonly string[] = []) =>
    signCheckpoint({ origin: name, size, root: rootOf(leaves.slice(0, size)), extensions }, key)
  const proof = (from: number, to: number) => consistencyProofOf(leaves.slice(0, to), from)
  return {
    key,
    name,
    checkpoint,
    proof,
    /** The body that requests a cosignature of the tree with `to` leaves after the one with `from`. */
    submission: (from: number, to: number, over: { checkpoint?: string; proof?: readonly Uint8Array[] } = {}) =>
      Buffer.from(
        encodeAddCheckpoint({
          oldSize: from,
          proof: over.proof ?? (from <= to ? proof(from, to) : []),
          checkpoint: over.checkpoint ?? checkpoint(to),
        }),
      ),
  }
}

export type SomeLog = ReturnType<typeof aLog>

/** The folder of a witness that has cosigned nothing, deleted with its scope. */
export function aWitnessFolder() {
  const dir = mkdtempSync(join(tmpdir(), 'witness-'))
  writeFileSync(statePath(dir), encodeState(witnessKey.verifier))
  return {
    dir,
    stateFile: statePath(dir),
    state: () => readFileSync(statePath(dir), 'utf8'),
    [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }),
  }
}

/** A witness that listens on a free port. */
export async function aWitness(
  dir: string,
  logs: readonly SomeLog[],
  { fs, clock = testClock() }: { fs?: DurableFs; clock?: TestClock } = {},
) {
  const lines: string[] = []
  const fatal: unknown[] = []
  const started = await startWitness(
    {
      dir,
      key: witnessKey,
      logs: new Map(logs.map((log) => [log.name, [log.key.verifier]])),
      BAILIWICK_HOST: '127.0.0.1',
      BAILIWICK_PORT: 0,
      BAILIWICK_TLS: 'none',
      BAILIWICK_METRICS: 'loopback',
    },
    {
      clock,
      random: systemRandom,
      logger: logger({ service: 'witness', level: 'info', destination: { write: (line) => void lines.push(line) } }),
      metrics: metrics({ service: 'witness', processMetrics: false }),
      onFatal: (error) => fatal.push(error),
      ...(fs === undefined ? {} : { fs }),
    },
  )
  return {
    ...started,
    clock,
    fatal,
    log: () => lines.join(''),
    async add(body: Uint8Array<ArrayBuffer> | string, headers: Record<string, string> = {}) {
      const answer = await fetch(`${started.url}/add-checkpoint`, { method: 'POST', body, headers })
      return { status: answer.status, type: answer.headers.get('content-type'), text: await answer.text() }
    },
  }
}
