import { expect, it } from 'vitest'
import { OpenAllows } from './open-allows.ts'
import type { AllowRecord } from './tree-spend.ts'

const record = (id: string, outcomeDue: number) => ({ id, outcomeDue }) as AllowRecord

it('gives those whose outcome was due, each with its tree, until they are taken away', () => {
  const open = new OpenAllows()
  const [early, late, next] = [record('early', 1000), record('late', 1999), record('next', 2000)]
  for (const [n, each] of [early, late, next].entries()) open.add({ root: `grt_${n}`, record: each })
  const ids = (now: number) => open.overdue(now).map(({ root, record: { id } }) => `${root} ${id}`)
  expect(ids(999)).toEqual([])
  expect(ids(1000)).toEqual(['grt_0 early'])
  expect(ids(1998)).toEqual(['grt_0 early'])
  expect(ids(1999)).toEqual(['grt_0 early', 'grt_1 late'])
  expect(ids(2000)).toEqual(['grt_0 early', 'grt_1 late', 'grt_2 next'])
  open.delete(early)
  open.delete(record('early', 1000))
  open.delete(record('another', 9000))
  expect(ids(2000)).toEqual(['grt_1 late', 'grt_2 next'])
  open.delete(late)
  open.delete(next)
  expect(ids(9000)).toEqual([])
})
