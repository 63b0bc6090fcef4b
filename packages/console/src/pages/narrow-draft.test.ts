import { expect, it } from 'vitest'
import { draftOf, dropDrafts } from './narrow-draft.ts'

it('keeps what a person began to narrow, for that person and request alone, until they sign out', () => {
  const form = new FormData()
  form.set('calls', '50')
  draftOf('olga', 'req_1').keep(form)
  expect(draftOf('olga', 'req_1').fields()).toEqual(new Map([['calls', '50']]))
  for (const other of [draftOf('bob', 'req_1'), draftOf('olga', 'req_2')]) expect(other.has()).toBe(false)
  draftOf('olga', 'req_1').drop()
  expect(draftOf('olga', 'req_1').has()).toBe(false)
  draftOf('olga', 'req_1').keep(form)
  dropDrafts()
  expect(draftOf('olga', 'req_1').has()).toBe(false)
})
