import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { encodeVkey, openCheckpoint, SIGNATURE_TYPE, SignerKey } from '@bailiwick/tlog'
import { expect, it } from 'vitest'
import { readLog } from '../../audit.ts'
import { generator, seed } from '../seed.ts'
import { tally } from '../tally.ts'
import { entryOf, said } from './writer.ts'

const rounds = Number(process.env.BAILIWICK_CHAOS_ROUNDS ?? (process.env.BAILIWICK_NIGHTLY === '1' ? 200 : 10))

it(`a log's writer that is killed ${rounds} times at any moment loses nothing that it acknowledged, doubles nothing, and has one root a size (V2, V14)`, {
  timeout: rounds * 20_000 + 180_000,
}, async ({ annotate }) => {
  await annotate(`seed ${seed}, ${rounds} rounds`)
  const random = generator(seed)
  const folder = mkdtempSync(join(tmpdir(), 'bailiwick-log-kills-'))
  const key = new SignerKey('kills.example/log', randomBytes(32), SIGNATURE_TYPE.ED25519)
  const roots = new Map<number, string>()
  const meet = (size: number, root: string) => {
    expect(roots.get(size) ?? root, `two roots for ${size}`).toBe(root)
    roots.set(size, root)
  }
  let began = 0
  for (let round = 0; round <= rounds; round++) {
    const child = start(folder, key, seed + round)
    const ready = isReady(child)
    // One in four dies while it starts, when it mends what the last death left.
    if (round < rounds && random() < 0.25) await pause(100 + random() * 400)
    else {
      const before = linesOf(join(folder, said.acknowledged)).length
      expect(await ready).toBe(true)
      began++
      // That there is a load at all; it goes on in the pause.
      while (linesOf(join(folder, said.acknowledged)).length < before + 20) await pause(20)
      await pause(random() * 500)
    }
    const ended = once(child, 'exit')
    child.kill(round < rounds ? 'SIGKILL' : 'SIGTERM')
    const [code] = await ended
    if (round < rounds) tally('SIGKILL', 'writer of the log')
    if (round === rounds) expect(code).toBe(0)
    const note = join(folder, 'log/checkpoint')
    if (!existsSync(note)) continue
    const opened = openCheckpoint(readFileSync(note), { log: key.verifier })
    expect(opened.ok, `round ${round}`).toBe(true)
    if (opened.ok) meet(opened.checkpoint.size, Buffer.from(opened.checkpoint.root).toString('hex'))
  }
  for (const [size = '', root = ''] of linesOf(join(folder, said.published))) meet(Number(size), root)

  const { entries, findings } = await readLog(join(folder, 'log'), encodeVkey(key.verifier))
  expect(findings).toEqual([])
  const texts = entries.map((bytes) => Buffer.from(bytes).toString())
  expect(new Set(texts).size, 'a leaf is there twice').toBe(texts.length)
  const acknowledged = linesOf(join(folder, said.acknowledged))
  const lost = acknowledged.filter(([index, n]) => texts[Number(index)] !== entryOf(Number(n)).toString())
  expect(lost).toEqual([])
  console.log(
    `log kills: ${JSON.stringify({ seed, rounds, began, leaves: texts.length, acknowledged: acknowledged.length, checkpoints: roots.size, lost: 0, doubled: 0 })}`,
  )
  expect(acknowledged.length).toBeGreaterThanOrEqual(began * 20)
  rmSync(folder, { recursive: true })
})

function start(folder: string, key: SignerKey, from: number): ChildProcess {
  const main = join(import.meta.dirname, 'writer.ts')
  return spawn(process.execPath, [main, folder, key.toSkey(), String(from)], { stdio: ['ignore', 'pipe', 'inherit'] })
}

/** Whether it came so far as to say so; never rejects. */
function isReady(child: ChildProcess): Promise<boolean> {
  return new Promise((resolve) => {
    child.stdout?.once('data', () => resolve(true))
    child.once('exit', () => resolve(false))
  })
}

const linesOf = (file: string): string[][] =>
  (existsSync(file) ? readFileSync(file, 'utf8') : '')
    .split('\n')
    .slice(0, -1)
    .map((line) => line.split(' '))
