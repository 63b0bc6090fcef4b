import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { fileOutcomeStore } from './outcome-store.ts'
import { aPoint, FakePdp } from './pdp.fixture.ts'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'agentpep-lock-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

it('the outcome file belongs to one enforcement point: another is refused at its start until that one is closed (V15)', async () => {
  await using pdp = await FakePdp.start()
  const open = () => aPoint(pdp, { store: fileOutcomeStore(join(folder, 'new', 'outcomes.json')) })
  const first = await open()
  // Twice: the refused process must not take the lock away.
  for (let n = 0; n < 2; n++) await expect(open()).rejects.toMatchObject({ code: 'outcomes_locked' })
  await first[Symbol.asyncDispose]()
  await using _second = await open()
})

it('the outcome file is written again in a folder that was removed', async () => {
  const store = fileOutcomeStore(join(folder, 'removed', 'outcomes.json'))
  for (const pending of [['a.b.c'], ['d.e.f']]) {
    await store.save({ pending })
    expect(await store.load()).toEqual({ pending })
    rmSync(join(folder, 'removed'), { recursive: true })
  }
})

it('the outcome file is free as soon as the process that had it is killed', async () => {
  await using pdp = await FakePdp.start()
  const path = join(folder, 'killed.json')
  const script = `import(process.argv[1]).then(async ({ fileOutcomeStore }) => {
    globalThis.held = await fileOutcomeStore(process.argv[2]).lock()
    setInterval(() => undefined, 1000)
    console.log('held')
  })`
  const child = spawn(process.execPath, ['-e', script, join(import.meta.dirname, 'outcome-store.ts'), path])
  const gone = once(child, 'exit')
  try {
    await Promise.race([once(child.stdout, 'data'), gone.then(() => expect.unreachable('the child ended'))])
    const open = () => aPoint(pdp, { store: fileOutcomeStore(path) })
    await expect(open()).rejects.toMatchObject({ code: 'outcomes_locked' })
    child.kill('SIGKILL')
    await gone
    await using _point = await open()
  } finally {
    child.kill('SIGKILL')
  }
})
