import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, expect, it } from 'vitest'
import { inOwnProcess } from './own-process.ts'

const folder = mkdtempSync(join(tmpdir(), 'own-process-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let files = 0
const run = (work: string, longestMs = 20_000) => {
  const file = join(folder, `${++files}.mjs`)
  const own = JSON.stringify(join(import.meta.dirname, 'own-process.ts'))
  writeFileSync(file, `import { workForParent } from ${own}\nworkForParent(1000, async (task) => { ${work} })`)
  return inOwnProcess(pathToFileURL(file), { n: 3 }, { longestMs, mostMegabytes: 64 })
}

it('ends only itself by memory of any kind, by its deadline, and by a fault (V18)', async () => {
  expect(await run('return task.n + 1')).toEqual({ done: 4 })
  expect(await run('const all = []; for (;;) all.push(new Array(1_000_000).fill(all.length + 0.5))')).toEqual({
    ended: 'by itself',
  })
  expect(await run('return new WebAssembly.Memory({ initial: 4096 }).buffer.byteLength')).toMatchObject({
    failed: expect.stringContaining('WebAssembly'),
  })
  expect(await run('for (;;);', 1500)).toEqual({ ended: 'too late' })
  expect(await run('throw new Error("no")')).toMatchObject({ failed: expect.stringContaining('no') })
  expect(await run('return "x".repeat(1001)')).toMatchObject({ refused: 'the answer is too long' })
  expect(await run('process.exit(0)')).toEqual({ ended: 'by itself' })
}, 90_000)

it('leaves no process behind', async () => {
  const worked = await run('return process.pid')
  const pid = 'done' in worked ? Number(worked.done) : 0
  expect(pid).toBeGreaterThan(0)
  await expect
    .poll(() => {
      try {
        return process.kill(pid, 0)
      } catch {
        return false
      }
    })
    .toBe(false)
})
