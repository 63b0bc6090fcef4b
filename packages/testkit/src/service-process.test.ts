import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nodeArguments } from '@bailiwick/host'
import { expect, it } from 'vitest'
import { freePort } from './running-system.ts'

/** The command line of a process; empty for one that is gone, or that its parent has not reaped yet. */
function commandOf(pid: number): string {
  try {
    return execFileSync('ps', ['-o', 'args=', '-p', String(pid)], { encoding: 'utf8' }).replace(/^.*<defunct>\n/, '')
  } catch {
    return ''
  }
}

it('is a service as `bailiwick serve` runs it, and ends with the process that started it', async () => {
  const data = mkdtempSync(join(tmpdir(), 'bailiwick-process-'))
  const fixture = join(import.meta.dirname, 'service-process.fixture.ts')
  const starter = spawn(process.execPath, [fixture, data, String(await freePort())], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    const [said] = await once(starter.stdout, 'data')
    const pid = Number(said)
    expect(commandOf(pid)).toContain([process.execPath, ...nodeArguments({})].join(' '))
    starter.kill('SIGTERM')
    await once(starter, 'exit')
    await expect.poll(() => commandOf(pid)).toBe('')
  } finally {
    starter.kill('SIGKILL')
    rmSync(data, { recursive: true, force: true })
  }
})
