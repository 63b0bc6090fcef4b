import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { backUp, backupMark, restore, settleBackup } from './backup.ts'
import { initialise } from './initialise.ts'
import { paths } from './paths.ts'

let dir = ''
let data = ''
let target = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'backup-'))
  data = join(dir, 'data')
  target = join(dir, 'backup')
  initialise({
    data,
    ...{ publicUrl: 'http://localhost:8420', singleOperator: true, now: now(), randomBytes, entities: [] },
    policies: new Map([['starter.cedar', Buffer.from('permit(principal, action, resource);')]]),
  })
  mkdirSync(paths(data).bus)
  writeFileSync(join(paths(data).bus, 'log'), 'what was said')
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const now = () => Date.parse('2026-11-26T12:00:00.000Z')
const make = () => backUp({ data, target, now: now(), random: randomBytes })
const invalid = expect.objectContaining({ code: 'config_invalid' })
const back = () => join(dir, 'back')

it('brings back every file as it was, as closed as it was, and marked (V7, V17)', () => {
  const mark = make()
  expect(restore({ source: target, data: back() })).toEqual(mark)
  expect(backupMark(back())).toEqual(mark)
  for (const name of Object.keys(mark.files)) {
    expect(readFileSync(join(back(), name))).toEqual(readFileSync(join(data, name)))
    expect(statSync(join(back(), name)).mode).toBe(statSync(join(data, name)).mode)
  }
  expect(statSync(paths(back()).keys('issuer')).mode & 0o077).toBe(0)
  expect(statSync(back()).mode & 0o077).toBe(0)
})

it('marks the copy itself: one that is put back by hand is known as well (V7)', () => {
  make()
  expect(backupMark(data)).toBeUndefined()
  expect(backupMark(target)).toBeDefined()
  settleBackup(target)
  expect(backupMark(target)).toBeUndefined()
})

it('takes a mark that cannot be read for one (V7, V13)', () => {
  make()
  writeFileSync(paths(target).backup, '{}')
  expect(() => backupMark(target)).toThrow(invalid)
})

it.each<[string, () => void]>([
  ['was changed', () => writeFileSync(join(target, 'bus/log'), 'what was never said')],
  ['is missing', () => rmSync(join(target, 'trust.json'))],
  ['was put there', () => writeFileSync(join(target, 'keys/issuer/credential-0.json'), '{}')],
])('restores nothing of a backup in which a file %s', (_, change) => {
  make()
  change()
  expect(() => restore({ source: target, data: back() })).toThrow(invalid)
  expect(existsSync(back())).toBe(false)
})

it('puts nothing over what is there, and backs up no backup', () => {
  make()
  expect(() => make()).toThrow(invalid)
  expect(() => restore({ source: target, data })).toThrow(invalid)
  expect(() => restore({ source: data, data: back() })).toThrow(invalid)
  expect(() => backUp({ data: target, target: back(), now: now(), random: randomBytes })).toThrow(invalid)
})
