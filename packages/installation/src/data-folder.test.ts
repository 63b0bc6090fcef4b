import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { assertDataUsable } from './data-folder.ts'

let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'data-folder-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const refusal = (data: string): string => {
  try {
    assertDataUsable(data)
  } catch (error) {
    expect(error).toMatchObject({ code: 'config_invalid' })
    return (error as { detail: string }).detail
  }
  return 'taken'
}

it('takes a folder that is there, and one that can be made, and leaves nothing behind', () => {
  mkdirSync(join(dir, 'old'))
  expect(refusal(join(dir, 'old'))).toBe('taken')
  expect(refusal(join(dir, 'new', 'and', 'deeper'))).toBe('taken')
  expect(readdirSync(dir, { recursive: true })).toEqual(['old'])
})

it.each(['file', 'file/below', 'file/far/below', 'link'])('refuses %s, and names what is not a folder', (name) => {
  const file = join(dir, 'file')
  writeFileSync(file, '')
  symlinkSync(file, join(dir, 'link'))
  const data = join(dir, name)
  expect(refusal(data)).toBe(`BAILIWICK_DATA: ${data}: ${name === 'link' ? data : file} is not a folder`)
})

it('refuses links that lead nowhere', () => {
  symlinkSync('b', join(dir, 'a'))
  symlinkSync('a', join(dir, 'b'))
  expect(refusal(join(dir, 'a'))).toContain('ELOOP')
})

// Not even root can make a folder there; `mkdir -p` below it tries for ever.
it('refuses, and does not spin, where the system makes no folders', () => {
  expect(refusal('/proc/nope')).toMatch(/^BAILIWICK_DATA: \/proc\/nope: nothing can be made in \//)
})

it('refuses a folder that this user may not write', () => {
  mkdirSync(join(dir, 'locked'), { mode: 0o500 })
  expect(refusal(join(dir, 'locked'))).toContain(process.getuid?.() === 0 ? 'taken' : 'this user may not (EACCES)')
})
