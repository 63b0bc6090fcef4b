import { createElement } from 'react'
import { renderToStaticMarkup } from 'react-dom/server'
import { expect, it } from 'vitest'
import type { Replayed } from '../types.ts'
import { Calls, callsText } from './impact.tsx'

const replayed = (counts: Partial<Replayed>): Replayed => ({
  ...{ decisions: 100, by_policies: 100, same: 100, denied: 0, allowed: 0, untold: 0 },
  ...{ refused: 0, size: 1, differences: [], more: 0 },
  ...counts,
})
const noteOf = (calls: Replayed) =>
  /class="(note \w+)"/.exec(renderToStaticMarkup(createElement(Calls, { calls })))?.[1]

it('counts a call that cannot be told as no call that stays the same', () => {
  expect(callsText(replayed({}))).toBe('It says the same of 100 calls.')
  expect(callsText(replayed({ same: 0, untold: 100 }))).toMatch(/^It says the same of 0 of 100 calls\. /)
  expect(callsText(replayed({ same: 96, denied: 3, allowed: 1 }))).toBe(
    'It denies 3 calls that were allowed, and allows 1 call that was denied, of 100 calls.',
  )
})

it('is good news only if each call is known to stay the same', () => {
  expect(noteOf(replayed({}))).toBe('note good')
  for (const counts of [{ untold: 1 }, { denied: 1 }, { allowed: 1 }])
    expect([counts, noteOf(replayed({ ...counts, same: 99 }))]).toEqual([counts, 'note warn'])
})
