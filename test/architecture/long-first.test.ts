import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { longFiles, longFirst } from '../long-first.ts'

it('begins with the long test files, the longest first, and leaves the others in their order', () => {
  const [longest = '', second = ''] = longFiles
  expect(longFirst(['/a.ts', `/x/${second}`, '/c.ts', `/x/${longest}`, '/b.ts'], (path) => path)).toEqual([
    `/x/${longest}`,
    `/x/${second}`,
    '/a.ts',
    '/c.ts',
    '/b.ts',
  ])
})

it('names existing files', () => {
  expect(longFiles.filter((file) => !existsSync(join(import.meta.dirname, '../..', file)))).toEqual([])
})
