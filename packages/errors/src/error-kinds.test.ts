import { describe, expect, it } from 'vitest'
import { errorGroups, errorKinds } from './index.ts'

describe('the table of errors', () => {
  it('says of each error its cause and its fix, in whole sentences', () => {
    const sentences = /^[A-Z`].*[.]$/s
    const lacking = Object.entries(errorKinds)
      .filter(([, { cause, fix }]) => !sentences.test(cause) || !sentences.test(fix))
      .map(([code]) => code)
    expect(lacking).toEqual([])
  })

  it('has each error in one group, and no other there', () => {
    const grouped = Object.values(errorGroups).flatMap((kinds) => Object.keys(kinds))
    expect(grouped).toEqual(Object.keys(errorKinds))
  })
})
