import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { cached } from './warm-cache.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'bailiwick-cache-'))
})
afterEach(() => rmSync(dir, { recursive: true }))

describe('a file that is made once', () => {
  it('is made by one of many processes that want it at once, and the others get it too', async () => {
    const fixture = join(import.meta.dirname, 'warm-cache.fixture.ts')
    const run = async () => (await promisify(execFile)(process.execPath, [fixture, dir])).stdout
    const said = await Promise.all([run(), run(), run()])
    expect(said.toSorted()).toEqual(['', '', 'made'])
    expect(readdirSync(dir)).toEqual(['thing'])
  })

  it('is never seen half made', async () => {
    let half = true
    const making = cached(dir, 'thing', async (path) => {
      writeFileSync(path, 'half')
      await sleep(50)
      half = existsSync(join(dir, 'thing'))
      writeFileSync(path, 'whole')
    })
    expect(readFileSync(await making, 'utf8')).toBe('whole')
    expect(half).toBe(false)
  })

  it('is made by the next when the first fails', async () => {
    await expect(cached(dir, 'thing', () => Promise.reject(new Error('no network')))).rejects.toThrow('no network')
    expect(readdirSync(dir)).toEqual([])
    await cached(dir, 'thing', async (path) => writeFileSync(path, 'whole'))
    expect(readdirSync(dir)).toEqual(['thing'])
  })

  it('is made although a process died while making it', async () => {
    const { pid } = execFile('true')
    while (isAlive(pid)) await sleep(5)
    writeFileSync(join(dir, 'thing.lock'), String(pid))
    await cached(dir, 'thing', async (path) => writeFileSync(path, 'whole'))
    expect(readdirSync(dir)).toEqual(['thing'])
  })
})

function isAlive(pid: number | undefined): boolean {
  try {
    return process.kill(pid ?? 0, 0)
  } catch {
    return false
  }
}
