import { spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { testClock } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { bailiwick, type Folder, temporaryFolder } from '../io.fixture.ts'
import { mainOf, services } from '../repository.ts'
import { serve } from './serve.ts'

/** Receives the stop signals instead of this process, whose other tests continue. */
function host() {
  const [clock, told, said] = [testClock(), new EventEmitter(), [] as string[]]
  return { clock, told, said, err: (line: string) => void said.push(line) }
}

/** Starting Node takes a while on a busy machine. */
const timeout = 60_000

it('knows where each service is', () => {
  for (const service of [...services, 'standalone'] as const)
    expect(mainOf(service)).toContain(`services/${service}/src`)
  expect(existsSync(mainOf('standalone'))).toBe(true)
})

it('ends as the service ended, and says what that one cannot say itself', { timeout }, async () => {
  using folder = temporaryFolder()
  const main = folder.at('main.mjs')
  const { said, ...io } = host()
  writeFileSync(main, "process.exitCode = process.env.BAILIWICK_DATA === 'here' ? 7 : 1\n")
  expect(await serve(main, { BAILIWICK_DATA: 'here' }, io)).toBe(7)
  expect(said).toEqual([]) // it has printed the reason
  writeFileSync(main, "process.kill(process.pid, 'SIGKILL')\n")
  expect(await serve(main, {}, io)).toBe(137)
  expect(said).toEqual([expect.stringContaining('its process was ended by SIGKILL')])
})

it('starts Node as a service wants it', { timeout }, async () => {
  using folder = temporaryFolder()
  const main = folder.at('main.mjs')
  const said = folder.at('arguments')
  writeFileSync(
    main,
    `import { writeFileSync } from 'node:fs'
     writeFileSync(${JSON.stringify(said)}, JSON.stringify(process.execArgv))\n`,
  )
  expect(await serve(main, {}, host())).toBe(0)
  expect(JSON.parse(readFileSync(said, 'utf8'))).toContain('--max-semi-space-size=64')
})

/**
 * A service that takes `stops` signals, and writes to a file when it is ready and how many it got. It ends on its own after a while: it
 * holds the test run's own output, which would stay open as long as the service lives.
 */
function patientService(folder: Folder, stops: number) {
  const main = folder.at('main.mjs')
  const file = folder.at('signals')
  writeFileSync(
    main,
    `import { writeFileSync } from 'node:fs'
     let got = 0
     const alive = setTimeout(() => process.exit(9), 60_000)
     process.on('SIGTERM', () => {
       writeFileSync(${JSON.stringify(file)}, String(++got))
       if (got === ${stops}) { clearTimeout(alive); process.exitCode = 3 }
     })
     writeFileSync(${JSON.stringify(file)}, '0')\n`,
  )
  const got = async (signals: number) => {
    while (!existsSync(file) || readFileSync(file, 'utf8') !== String(signals)) await wait(5)
  }
  return { main, got }
}

it('passes a stop signal on, and lets the service end by itself', { timeout }, async () => {
  using folder = temporaryFolder()
  const { main, got } = patientService(folder, 1)
  const { told, said, ...io } = host()
  const ended = serve(main, {}, { ...io, told })
  await got(0)
  told.emit('SIGTERM', 'SIGTERM')
  expect(await ended).toBe(3)
  expect(told.eventNames()).toEqual([])
  expect(said).toEqual([])
})

it('passes on once what npm and a terminal send twice, and once more what a person sends again', {
  timeout,
}, async () => {
  using folder = temporaryFolder()
  const { main, got } = patientService(folder, 2)
  const { clock, told, err } = host()
  const ended = serve(main, {}, { clock, told, err })
  await got(0)
  told.emit('SIGTERM', 'SIGTERM')
  await got(1)
  clock.advance(999)
  told.emit('SIGTERM', 'SIGTERM')
  await wait(50)
  await got(1)
  clock.advance(1)
  told.emit('SIGTERM', 'SIGTERM')
  expect(await ended).toBe(3)
})

it.each(['SIGKILL', 'SIGTERM'] as const)(
  'the service stops in order when who started it gets %s',
  {
    timeout,
  },
  async (signal) => {
    using folder = temporaryFolder()
    const { main, got } = patientService(folder, 1)
    const script = `import { serve } from ${JSON.stringify(import.meta.resolve('./serve.ts'))}
    process.exitCode = await serve(${JSON.stringify(main)}, process.env, { clock: { monotonic: () => performance.now() }, err: console.error })`
    const starter = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'ignore' })
    const ended = once(starter, 'exit')
    await got(0)
    starter.kill(signal)
    await ended
    await got(1)
  },
)

it('refuses a service that there is not, and names those that there are', async () => {
  const { code, err } = await bailiwick(['serve', 'approvals'])
  expect(code).toBe(2)
  expect(err).toContain('approval, issuer, policy-decision, evidence')
})

it('serves policies alone by policy-decision, and by nothing else', async () => {
  const said = async (...argv: string[]) => {
    const { code, err } = await bailiwick(['serve', ...argv])
    expect(code).toBe(2)
    return err
  }
  expect(await said('--plain', '--policies', 'x')).toContain('serve policy-decision --plain')
  expect(await said('issuer', '--plain')).toContain('serve policy-decision --plain')
  expect(await said('policy-decision', '--policies', 'x')).toContain('the registry names the policy set')
})
