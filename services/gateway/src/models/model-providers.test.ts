import { expect, it } from 'vitest'
import { entryOf } from './entry.fixture.ts'
import type { ModelProvider } from './model-provider.ts'
import { ModelProviders } from './model-providers.ts'

function opened() {
  const told: string[] = []
  const providers = new ModelProviders((name, entry) => {
    const id = `${name} ${entry.prices.version}`
    if (entry.url.includes('broken')) throw new Error('config_invalid')
    told.push(`open ${id}`)
    const end = async () => void told.push(`end ${id}`)
    return { retire: () => void told.push(`retire ${id}`), [Symbol.asyncDispose]: end } as unknown as ModelProvider
  })
  return { told, providers }
}
const entry = (version: string, more: object = {}) => entryOf({ prices: { ...entryOf().prices, version }, ...more })

it('keeps what did not change, and lets what changed or is gone end after its answers', async () => {
  const { told, providers } = opened()
  providers.prepare({ same: entry('1'), changed: entry('1'), gone: entry('1') })()
  const [same, changed] = [providers.get('same'), providers.get('changed')]
  providers.prepare({ same: entry('1'), changed: entry('2') })()
  expect(told.slice(3)).toEqual(['open changed 2', 'retire changed 1', 'retire gone 1'])
  expect([providers.get('same') === same, providers.get('changed') === changed, providers.get('gone')]).toEqual([
    true,
    false,
    undefined,
  ])
  await providers[Symbol.asyncDispose]()
  expect(told.slice(6)).toEqual(['end same 1', 'end changed 2'])
})

it('changes nothing before it is put into use, and nothing at all for a file with a fault', () => {
  const { told, providers } = opened()
  providers.prepare({ one: entry('1') })()
  const use = providers.prepare({ one: entry('2') })
  const one = providers.get('one')
  expect(() => providers.prepare({ one: entry('3'), two: entry('1', { url: 'https://broken.example' }) })).toThrow()
  expect([providers.get('one') === one, told.filter((line) => line.startsWith('retire'))]).toEqual([true, []])
  use()
  expect(told.at(-1)).toBe('retire one 1')
})
