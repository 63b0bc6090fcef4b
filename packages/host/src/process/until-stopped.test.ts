import { spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { testClock } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { untilStopped } from './until-stopped.ts'

class FakeHost extends EventEmitter {
  readonly exits: number[] = []
  exit(code: number): void {
    this.exits.push(code)
  }
}

it('takes the Ctrl-C that npm repeats for one, and a later one for impatience', async () => {
  const clock = testClock()
  const host = new FakeHost()
  const told: string[] = []
  const stopped = untilStopped(clock, { host, impatient: (signal) => told.push(signal) })
  host.emit('SIGINT', 'SIGINT')
  clock.advance(5)
  host.emit('SIGINT', 'SIGINT')
  expect(await stopped).toBe('SIGINT')
  expect([host.exits, told]).toEqual([[], []])
  clock.advance(1000)
  host.emit('SIGTERM', 'SIGTERM')
  expect([host.exits, told]).toEqual([[1], ['SIGTERM']])
})

it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('stops in order on %s', async (signal) => {
  const host = new FakeHost()
  const stopped = untilStopped(testClock(), { host })
  host.emit(signal, signal)
  expect(await stopped).toBe(signal)
})

it('leaves a signal alone that means something else to its process', async () => {
  const host = new FakeHost()
  const stopped = untilStopped(testClock(), { host, signals: ['SIGINT', 'SIGTERM'] })
  expect(host.listenerCount('SIGHUP')).toBe(0)
  host.emit('SIGTERM', 'SIGTERM')
  expect(await stopped).toBe('SIGTERM')
})

it('ends with its own exit code, though the same wish comes again until the process is gone', async () => {
  const script = `
    const { systemClock } = await import(${JSON.stringify(new URL('../../../kit/src/clock.ts', import.meta.url).href)})
    const { untilStopped } = await import(${JSON.stringify(new URL('./until-stopped.ts', import.meta.url).href)})
    const alive = setInterval(() => {}, 1000)
    const stopped = untilStopped(systemClock)
    process.stdout.write('ready')
    await stopped
    clearInterval(alive)
    process.exitCode = 7`
  for (let round = 0; round < 5; round++) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(child.stdout, 'data')
    const again = setInterval(() => child.kill('SIGINT'), 1)
    const ended = await once(child, 'exit')
    clearInterval(again)
    expect(ended).toEqual([7, null])
  }
})

it('lets the disposers of a real process run, though the signal comes twice', async () => {
  const script = `
    const { systemClock } = await import(${JSON.stringify(new URL('../../../kit/src/clock.ts', import.meta.url).href)})
    const { untilStopped } = await import(${JSON.stringify(new URL('./until-stopped.ts', import.meta.url).href)})
    await using closing = { async [Symbol.asyncDispose]() { process.stdout.write('disposed'); clearInterval(alive) } }
    const alive = setInterval(() => {}, 1000)
    const stopped = untilStopped(systemClock)
    process.stdout.write('ready ')
    process.stdout.write((await stopped) + ' ')`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk
  })
  await once(child.stdout, 'data')
  child.kill('SIGTERM')
  child.kill('SIGTERM')
  const [code] = await once(child, 'exit')
  expect([code, output]).toEqual([0, 'ready SIGTERM disposed'])
})
