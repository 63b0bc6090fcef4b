import { existsSync, writeFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { bailiwick, temporaryFolder } from '../io.fixture.ts'
import { mainOf, services } from '../repository.ts'
import { serve } from './serve.ts'

it('knows where each service is', () => {
  for (const service of [...services, 'standalone'] as const)
    expect(mainOf(service)).toContain(`services/${service}/src`)
  expect(existsSync(mainOf('standalone'))).toBe(true)
})

it('ends as the service ended', async () => {
  using folder = temporaryFolder()
  const main = folder.at('main.mjs')
  writeFileSync(main, "process.exitCode = process.env.BAILIWICK_DATA === 'here' ? 7 : 1\n")
  expect(await serve(main, { BAILIWICK_DATA: 'here' })).toBe(7)
  writeFileSync(main, "process.kill(process.pid, 'SIGKILL')\n")
  expect(await serve(main, {})).toBe(137)
})

it('passes a stop signal on, and lets the service end by itself', async () => {
  using folder = temporaryFolder()
  const main = folder.at('main.mjs')
  const ready = folder.at('ready')
  writeFileSync(
    main,
    `import { writeFileSync } from 'node:fs'
     const alive = setInterval(() => {}, 1000)
     process.on('SIGTERM', () => { clearInterval(alive); process.exitCode = 3 })
     writeFileSync(${JSON.stringify(ready)}, '')\n`,
  )
  const ended = serve(main, {})
  while (!existsSync(ready)) await wait(5)
  process.emit('SIGTERM')
  expect(await ended).toBe(3)
  expect(process.listenerCount('SIGHUP')).toBe(0)
})

it('refuses a service that there is not, and names those that there are', async () => {
  const { code, err } = await bailiwick(['serve', 'approvals'])
  expect(code).toBe(2)
  expect(err).toContain('approval, issuer, policy-decision, evidence')
})
