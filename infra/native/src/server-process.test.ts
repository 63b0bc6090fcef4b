import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type ServerCommand, startServer, stopServer, untilReady } from './server-process.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'bailiwick-server-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const command = (script: string): ServerCommand => ({
  name: 'server',
  program: '/bin/sh',
  args: ['-c', script],
  log: join(dir, 'log'),
})

/** A killed process stays in the table until its parent has reaped it. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

async function within(millis: number, holds: () => boolean): Promise<boolean> {
  for (let waited = 0; waited < millis && !holds(); waited += 20) await sleep(20)
  return holds()
}

describe.skipIf(!existsSync('/proc/self/status'))('a server', () => {
  it.each([
    ['is killed', 'stay', (pid: number) => process.kill(pid, 'SIGKILL')],
    ['ends by itself', 'leave', () => true],
  ])('ends, and its folder goes, when the process that started it %s', async (_, how, end) => {
    const fixture = join(import.meta.dirname, 'server-process.fixture.ts')
    const parent = spawn(process.execPath, [fixture, dir, how], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [said] = await once(parent.stdout, 'data')
    const pid = Number(said)
    const exit = parent.exitCode === null ? once(parent, 'exit') : undefined
    if (how === 'stay') expect(isAlive(pid)).toBe(true)
    end(parent.pid ?? 0)
    await exit
    expect(await within(5000, () => !isAlive(pid))).toBe(true)
    expect(await within(5000, () => !existsSync(dir))).toBe(true)
  })

  it('is gone when the promise of its kill resolves', async () => {
    const server = startServer(command('exec sleep 1000'))
    await server.kill('SIGTERM')
    expect(server.running()).toBe(false)
    expect(isAlive(server.pid)).toBe(false)
    await server.kill('SIGKILL')
  })

  it('passes on signals that do not end it', async () => {
    const server = startServer(command('exec sleep 1000'))
    const state = () => /^State:\s+(.)/m.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))?.[1]
    await server.kill('SIGSTOP')
    expect(await within(5000, () => state() === 'T')).toBe(true)
    await server.kill('SIGCONT')
    expect(await within(5000, () => state() === 'S')).toBe(true)
    await server.kill('SIGSTOP')
    await stopServer(server, 50)
    expect(server.running()).toBe(false)
  })

  it('is killed when it ignores an orderly end', async () => {
    const server = startServer(command("trap '' TERM; echo deaf; while :; do sleep 0.05; done"))
    await within(5000, () => readFileSync(join(dir, 'log'), 'utf8').includes('deaf'))
    await stopServer(server, 100)
    expect(server.running()).toBe(false)
  })
})

describe('a server that does not get ready', () => {
  it('is reported with the end of its log as soon as it ends', async () => {
    const failing = command('echo the port is taken >&2; exit 1')
    const waiting = untilReady(failing, startServer(failing), async () => false, 60)
    await expect(waiting).rejects.toMatchObject({
      code: 'service_unready',
      detail: 'server ended before it was ready:\nthe port is taken',
    })
  })

  it('is reported when its time is up', async () => {
    const slow = command('echo still loading; exec sleep 1000')
    const server = startServer(slow)
    await expect(untilReady(slow, server, async () => false, 0.3)).rejects.toThrow(
      /not ready after 0.3 s:\nstill loading/,
    )
    await stopServer(server, 0)
  })
})

it('says which program is missing', () => {
  expect(() => startServer({ name: 'Kafka', program: '/not/there', args: [], log: join(dir, 'log') })).toThrow(
    'Kafka did not start: /not/there',
  )
})
