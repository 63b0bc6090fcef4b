import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { describedSettings, setting } from './setting.ts'
import { duration, flag } from './setting-values.ts'
import { commonSettings } from './settings.ts'

describe('a described setting', () => {
  it('has its default as one would write it, read from its schema', () => {
    const schema = z.object({
      A: setting('A text.', 'y', z.string().default('x')),
      B: setting('A time.', '3s', duration(1000, 10_000).default(2000)),
      C: setting('A time.', '3s', duration(1, 10_000).default(1500)),
      D: setting('A switch.', '1', flag),
      E: setting('A text or nothing.', 'x', z.string().optional()),
      F: setting('A number.', '2', z.coerce.number().default(7)),
      G: setting('Needed.', 'x', z.string()),
    })
    expect(describedSettings(schema).map((each) => [each.name, each.default, each.required])).toEqual([
      ['A', 'x', false],
      ['B', '2s', false],
      ['C', '1500ms', false],
      ['D', '0', false],
      ['E', undefined, false],
      ['F', '7', false],
      ['G', undefined, true],
    ])
  })

  it('says nothing of a setting that says nothing of itself, nor of one whose example is not taken', () => {
    expect(() => describedSettings(z.object({ A: z.string() }))).toThrow('A: nothing is said of it')
    const wrong = z.object({ A: setting('A switch.', 'yes', flag) })
    expect(() => describedSettings(wrong)).toThrow('A: its example is not taken')
  })

  it('is each that every service has', () => {
    const common = describedSettings(z.object(commonSettings(8422)))
    expect(common.find(({ name }) => name === 'BAILIWICK_PORT')?.default).toBe('8422')
    expect(common.find(({ name }) => name === 'BAILIWICK_MAX_STALENESS')?.default).toBe('2s')
    for (const { name, does } of common) expect([name, /^[A-Z`].*[.)]$/.test(does)]).toEqual([name, true])
  })
})
