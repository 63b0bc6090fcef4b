import { randomBytes } from 'node:crypto'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '@bailiwick/cli'
import { systemClock, systemRandom } from '@bailiwick/kit'
import { encodeVkey, SIGNATURE_TYPE, SignerKey } from '@bailiwick/tlog'
import { expect, it } from 'vitest'
import { generator, seed } from '../chaos/seed.ts'
import { growLog, mutations, type Random, type WatchedLog } from './log-mutants.ts'

const nightly = process.env.BAILIWICK_NIGHTLY === '1'
const counts = nightly ? { mutants: 2000, logs: 200, bases: 20 } : { mutants: 120, logs: 10, bases: 2 }
const key = new SignerKey('mutants.example/log', randomBytes(32), SIGNATURE_TYPE.ED25519)

/** The result of `bailiwick verify`: its exit code and its output. */
async function verify({ log, kept }: WatchedLog): Promise<{ code: number; said: string }> {
  const lines: string[] = []
  const say = (line: string) => void lines.push(line)
  const old = kept.flatMap((file) => ['--old', file])
  const code = await run(['verify', '--log', log, '--vkey', encodeVkey(key.verifier), '--json', ...old], {
    out: say,
    err: say,
    env: {},
    clock: systemClock,
    random: systemRandom,
  })
  return { code, said: lines.join('\n') }
}

const someBatches = (random: Random): number[] =>
  Array.from({ length: 1 + Math.floor(random() * 6) }, () => 1 + Math.floor(random() ** 3 * 600))

it(`raises no false alarm on ${counts.logs} clean logs (V14)`, { timeout: counts.logs * 3000 + 30_000 }, async () => {
  const random = generator(seed)
  const home = mkdtempSync(join(tmpdir(), 'log-mutants-'))
  let leaves = 0
  for (let n = 0; n < counts.logs; n++) {
    const batches = someBatches(random)
    const watched = await growLog(join(home, String(n)), key, batches, 'a')
    leaves += batches.reduce((sum, batch) => sum + batch, 0)
    expect(await verify(watched), `seed ${seed}, log ${n}: ${batches}`).toMatchObject({ code: 0 })
    rmSync(join(home, String(n)), { recursive: true })
  }
  console.log(`clean logs: ${JSON.stringify({ seed, logs: counts.logs, leaves, falseAlarms: 0 })}`)
  rmSync(home, { recursive: true })
})

it(`detects each of ${counts.mutants} mutants of a log (V14)`, {
  timeout: counts.mutants * 1000 + 60_000,
}, async () => {
  const random = generator(seed)
  const home = mkdtempSync(join(tmpdir(), 'log-mutants-'))
  const kinds = Object.keys(mutations)
  const made: Record<string, number> = {}
  const missed: string[] = []
  for (let base = 0; base < counts.bases; base++) {
    const folder = join(home, String(base))
    const batches = [...someBatches(random), 1 + Math.floor(random() * 300)]
    const before = await growLog(folder, key, batches, 'a')
    const earlier = join(folder, 'earlier')
    cpSync(before.log, earlier, { recursive: true })
    const after = await growLog(folder, key, [1 + Math.floor(random() * 300), 300], 'a')
    const watched = { log: after.log, kept: [...before.kept, ...after.kept] }
    const fork = await growLog(join(folder, 'fork'), key, [...batches, 700], 'b')
    expect(await verify(watched)).toMatchObject({ code: 0 })
    const mutant = join(folder, 'mutant')
    for (let n = 0; n < counts.mutants / counts.bases; ) {
      const kind = kinds[n % kinds.length] as string
      rmSync(mutant, { recursive: true, force: true })
      cpSync(watched.log, mutant, { recursive: true })
      if (!mutations[kind]?.(mutant, { random, earlier, fork: fork.log })) continue
      n++
      made[kind] = (made[kind] ?? 0) + 1
      const { code, said } = await verify({ log: mutant, kept: watched.kept })
      if (code !== 1) missed.push(`${kind}, seed ${seed}, base ${base}, mutant ${n}: exit ${code} ${said}`)
    }
    rmSync(folder, { recursive: true })
  }
  console.log(`log mutants: ${JSON.stringify({ seed, made, missed: missed.length })}`)
  expect(missed).toEqual([])
  expect(Object.keys(made)).toHaveLength(kinds.length)
  rmSync(home, { recursive: true })
})
