import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import {
  consistencyProofOf,
  encodeAddCheckpoint,
  encodeVkey,
  leafHash,
  openCheckpoint,
  parseVkey,
  rootOf,
  SIGNATURE_TYPE,
  SignerKey,
  signCheckpoint,
  type VerifierKey,
} from '@bailiwick/tlog'
import { expect, it } from 'vitest'
import { generator, seed } from './seed.ts'
import { tally } from './tally.ts'

const rounds = Number(process.env.BAILIWICK_CHAOS_ROUNDS ?? (process.env.BAILIWICK_NIGHTLY === '1' ? 200 : 5))
const bailiwick = join(import.meta.dirname, '../../packages/cli/src/main.ts')
const key = new SignerKey('log.example/chaos', new Uint8Array(32).fill(5), SIGNATURE_TYPE.ED25519)

/** A log of that key; two of another `word` differ from entry 3 on. */
function aLog(word: string) {
  const leaves = Array.from({ length: 4000 }, (_, n) => leafHash(Buffer.from(`${n < 3 ? 'entry' : word} ${n}`)))
  const checkpoint = (size: number) => {
    const root = rootOf(leaves.slice(0, size))
    return signCheckpoint({ origin: key.verifier.name, size, root, extensions: [] }, key)
  }
  const proof = (from: number, to: number) => consistencyProofOf(leaves.slice(0, to), from)
  return { checkpoint, body: (from: number, to: number) => submission(from, proof(from, to), checkpoint(to)) }
}

function submission(oldSize: number, proof: readonly Uint8Array[], checkpoint: string) {
  return Buffer.from(encodeAddCheckpoint({ oldSize, proof, checkpoint }))
}

/** `bailiwick witness` in a process of its own, which dies on request. */
class WitnessProcess implements AsyncDisposable {
  readonly dir = mkdtempSync(join(tmpdir(), 'chaos-witness-'))
  #child: ChildProcess | undefined
  url = ''

  async #run(...args: string[]) {
    const child = spawn(process.execPath, [bailiwick, 'witness', ...args, '--state', join(this.dir, 'w')], {
      // The command refuses settings that it does not know, such as those of a nightly run.
      env: Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('BAILIWICK_'))),
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const exited = once(child, 'exit')
    const [said] = (await Promise.race([once(createInterface(child.stdout), 'line'), exited])) as [unknown]
    return { child, said: String(said) }
  }

  async init(): Promise<VerifierKey> {
    const { said } = await this.#run('init', 'witness.example/chaos')
    writeFileSync(join(this.dir, 'w', 'logs'), encodeVkey(key.verifier))
    return parseVkey(said) as VerifierKey
  }

  async start(): Promise<void> {
    const { child, said } = await this.#run('--port', '0')
    this.#child = child
    this.url = / at (http:\S+)$/.exec(said)?.[1] ?? `no witness: ${said}`
  }

  async kill(): Promise<void> {
    const exited = this.#child && once(this.#child, 'exit')
    this.#child?.kill('SIGKILL')
    await exited
    this.#child = undefined
  }

  async add(body: Uint8Array<ArrayBuffer>): Promise<{ status: number; text: string }> {
    const answer = await fetch(`${this.url}/add-checkpoint`, { method: 'POST', body })
    return { status: answer.status, text: await answer.text() }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    rmSync(this.dir, { recursive: true, force: true })
  }
}

const title = `a witness that is killed ${rounds} times at any moment cosigns no two roots of one size, and forgets nothing that it cosigned (V14)`
it(title, { timeout: rounds * 30_000 + 180_000 }, async ({ annotate }) => {
  await annotate(`seed ${seed}, ${rounds} rounds`)
  const random = generator(seed)
  await using witness = new WitnessProcess()
  const cosigner = await witness.init()
  const [log, fork] = [aLog('entry'), aLog('other')]
  const cosigned = new Map<number, string>()
  let largest = 0
  for (let round = 0; round < rounds; round++) {
    await witness.start()
    // The witness names its size to a caller that knows nothing. It is never below what was acknowledged before the kill.
    const asked = await witness.add(submission(0, [new Uint8Array(32)], log.checkpoint(3)))
    let size = asked.status === 409 ? Number(asked.text) : 0
    expect(size).toBeGreaterThanOrEqual(largest)
    let alive = true
    const submit = async (of: ReturnType<typeof aLog>) => {
      while (alive && size < 3990) {
        const to = size + 1 + Math.floor(random() * 3)
        const answer = await witness.add(of.body(size, to)).catch(() => undefined)
        if (answer?.status === 409) size = Number(answer.text)
        if (answer?.status !== 200) continue
        const opened = openCheckpoint(of.checkpoint(to) + answer.text, { log: key.verifier, witnesses: [cosigner] })
        expect(opened.ok && opened.witnesses).toHaveLength(1)
        const root = of.checkpoint(to).split('\n')[2] ?? ''
        expect(cosigned.get(to) ?? root).toBe(root)
        cosigned.set(to, root)
        largest = Math.max(largest, to)
        size = Math.max(size, to)
      }
    }
    const submitting = Promise.all([log, fork, log, fork].map(submit))
    let ended = false
    submitting
      .catch(() => undefined)
      .finally(() => {
        ended = true
      })
    // The first is killed once there is something to forget.
    while (cosigned.size === 0 && !ended) await pause(5)
    await pause(20 + random() * 150)
    const killed = witness.kill()
    alive = false
    await killed
    tally('SIGKILL', 'witness')
    await submitting
  }
  expect(cosigned.size).toBeGreaterThan(0)
})
