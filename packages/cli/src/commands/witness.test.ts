import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { encodeVkey, openCheckpoint, parseVkey, type VerifierKey } from '@bailiwick/tlog'
import { expect, it } from 'vitest'
import { bailiwick, temporaryFolder } from '../io.fixture.ts'
import { aLog } from '../witness/witness.fixture.ts'

const main = join(import.meta.dirname, '../main.ts')
const log = aLog()
const fork = aLog({ word: 'other' })

/** The command in a separate process, once it listens. */
async function running(...args: string[]) {
  const child = spawn(process.execPath, [main, 'witness', ...args, '--port', '0'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const exited = once(child, 'exit')
  const [line] = (await Promise.race([once(createInterface(child.stdout), 'line'), exited])) as [unknown]
  const url = / at (http:\S+)$/.exec(String(line))?.[1] ?? ''
  return {
    add: async (body: Uint8Array<ArrayBuffer>) => {
      const answer = await fetch(`${url}/add-checkpoint`, { method: 'POST', body })
      return { status: answer.status, text: await answer.text() }
    },
    kill: async (signal: NodeJS.Signals) => {
      child.kill(signal)
      return exited
    },
    [Symbol.dispose]: () => void child.kill('SIGKILL'),
  }
}

it('makes a witness, whose key stays where it is and whose vkey is printed', async () => {
  using folder = temporaryFolder()
  const dir = folder.at('w')
  const made = await bailiwick(['witness', 'init', 'witness.example/audit', '--state', dir])
  expect(made.code).toBe(0)
  expect(parseVkey(made.out)).toMatchObject({ name: 'witness.example/audit', type: 4 })
  expect(readFileSync(join(dir, 'witness.vkey'), 'utf8')).toBe(`${made.out}\n`)
  expect(statSync(join(dir, 'witness.key')).mode & 0o777).toBe(0o600)
  const again = await bailiwick(['witness', 'init', 'witness.example/audit', '--state', dir])
  expect(again).toMatchObject({ code: 2, err: expect.stringContaining('exists already') })
  expect((await bailiwick(['witness', 'init', 'two words', '--state', folder.at('v')])).code).toBe(2)
  expect(existsSync(folder.at('v'))).toBe(false)
})

it('does not start where no witness was made, without its logs, or beyond this machine in the clear', async () => {
  using folder = temporaryFolder()
  const dir = folder.at('w')
  writeFileSync(folder.at('logs'), encodeVkey(log.key.verifier))
  const start = (...more: string[]) => bailiwick(['witness', '--state', dir, '--logs', folder.at('logs'), ...more])
  expect(await start()).toMatchObject({ code: 2, err: expect.stringContaining('witness_state_invalid') })
  expect(existsSync(dir)).toBe(false)
  await bailiwick(['witness', 'init', 'witness.example/audit', '--state', dir])
  expect(await start('--host', '0.0.0.0')).toMatchObject({ code: 2, err: expect.stringContaining('BAILIWICK_TLS') })
  expect(await start('--logs', folder.at('nowhere'))).toMatchObject({ code: 2, err: expect.stringContaining('--logs') })
})

it('runs by itself, and after SIGKILL knows what it cosigned (V14)', { timeout: 60_000 }, async () => {
  using folder = temporaryFolder()
  const dir = folder.at('w')
  const { out: vkey } = await bailiwick(['witness', 'init', 'witness.example/audit', '--state', dir])
  writeFileSync(join(dir, 'logs'), `${encodeVkey(log.key.verifier)}\n`)
  using first = await running('--state', dir)
  const answer = await first.add(log.submission(0, 300))
  const trust = { log: log.key.verifier, witnesses: [parseVkey(vkey) as VerifierKey] }
  expect(openCheckpoint(log.checkpoint(300) + answer.text, trust)).toMatchObject({
    ok: true,
    witnesses: [{ key: { name: 'witness.example/audit' } }],
  })
  expect((await bailiwick(['witness', '--state', dir])).err).toContain('witness_locked')
  await first.kill('SIGKILL')
  using second = await running('--state', dir)
  expect(await second.add(fork.submission(0, 300))).toEqual({ status: 409, text: '300\n' })
  expect((await second.add(log.submission(300, 400))).status).toBe(200)
  expect(await second.kill('SIGTERM')).toEqual([0, null])
})
