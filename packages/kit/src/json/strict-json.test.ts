import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readStrictJson, readStrictJsonText } from './strict-json.ts'

const limits = { maxBytes: 65_536 }
const bytes = (text: string) => new TextEncoder().encode(text)
const text = (json: string) => readStrictJsonText(json, limits)
const malformed = (detail: string) => ({ ok: false, code: 'json_malformed', detail })

it('gives the value of any text that JSON.stringify wrote', () => {
  const value = fc.jsonValue({ maxDepth: 6 })
  fc.assert(
    fc.property(value, (value) => {
      const json = JSON.stringify(value)
      fc.pre(json.isWellFormed() && !json.includes('__proto__'))
      const read = readStrictJson(bytes(json), { maxBytes: 1e6, exactNumbers: false })
      expect(read).toEqual({ ok: true, value: JSON.parse(json) })
    }),
  )
})

it('never throws, and never accepts what JSON.parse refuses (V13)', () => {
  const fragments = [
    '{',
    '}',
    '[',
    ']',
    ':',
    ',',
    '"',
    '\\',
    '"a"',
    '1',
    '-',
    '1e5',
    'null',
    'true',
    ' ',
    '\u0000',
    'é',
  ]
  const hostile = fc.array(fc.constantFrom(...fragments), { maxLength: 12 }).map((parts) => parts.join(''))
  fc.assert(
    fc.property(hostile, (json) => {
      const read = text(json)
      if (!read.ok) return
      expect(read.value).toEqual(JSON.parse(json))
    }),
    { numRuns: 5000 },
  )
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (any) => void readStrictJson(any, limits)))
})

describe('a key that appears twice', () => {
  const twice = malformed('a duplicate key')
  it.each([
    ['as itself', '{"a":1,"a":1}'],
    ['escaped', String.raw`{"a":1,"\u0061":2}`],
    ['escaped as a pair', String.raw`{"😀":1,"\ud83d\ude00":2}`],
    ['with an escaped solidus', String.raw`{"/":1,"\/":2}`],
    ['empty', '{"":1,"":2}'],
    ['deep inside', '[{"x":[{"b":1,"c":{},"b":{}}]}]'],
    ['among colons in strings', '{"a:":":","b":"\\":","b":1}'],
    ['as a number', '{"1":1,"1":2}'],
    ['three times', '{"a":1,"a":2,"a":3,"b":{"c":4}}'],
  ])('is refused %s', (_how, json) => {
    expect(text(json)).toEqual(twice)
    expect(readStrictJson(bytes(json), limits)).toEqual(twice)
  })

  it('is refused wherever it is put', () => {
    const key = fc.string({ unit: 'grapheme-ascii', maxLength: 4 })
    fc.assert(
      fc.property(fc.array(fc.tuple(key, fc.jsonValue({ maxDepth: 2 })), { minLength: 1, maxLength: 6 }), (members) => {
        const json = `{${members.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`
        fc.pre(!json.includes('__proto__'))
        const distinct = new Set(members.map(([name]) => name)).size === members.length
        expect(readStrictJsonText(json, { ...limits, exactNumbers: false }).ok).toBe(distinct)
      }),
    )
  })

  it('may appear in two objects', () => {
    expect(text('[{"a":1},{"a":{"a":2}}]').ok).toBe(true)
  })
})

it.each(['{"__proto__":{"admin":true}}', String.raw`{"a":[{"\u005f_proto__":1}]}`])(
  'refuses a prototype: %s',
  (json) => {
    expect(text(json)).toEqual(malformed('the key __proto__'))
    expect(({} as { admin?: boolean }).admin).toBeUndefined()
  },
)

describe('nesting', () => {
  it('is taken to the limit and not beyond', () => {
    const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
    expect(text(nested(32)).ok).toBe(true)
    expect(text(nested(33))).toEqual(malformed('more than 32 levels at character 32'))
    expect(readStrictJsonText('{"a":{"b":1}}', { ...limits, maxDepth: 1 }).ok).toBe(false)
    expect(text(`[${'[],'.repeat(100)}{}]`).ok).toBe(true)
    expect(text(JSON.stringify(['['.repeat(100)])).ok).toBe(true)
  })

  it.each(['[', '{"a":'])('a million levels of %s are refused at once', (open) => {
    const started = performance.now()
    const deep = bytes(open.repeat(1_000_000))
    expect(readStrictJson(deep, { maxBytes: 1e7 })).toMatchObject({ ok: false, code: 'json_malformed' })
    expect(performance.now() - started).toBeLessThan(1000)
  })
})

it.each<[string, number[]]>([
  ['an overlong quote', [0x5b, 0xc0, 0xa2, 0x5d]],
  ['an overlong NUL', [0x22, 0xc0, 0x80, 0x22]],
  ['an encoded surrogate', [0x22, 0xed, 0xa0, 0x80, 0x22]],
  ['a byte that starts nothing', [0x22, 0xff, 0x22]],
  ['a character cut short', [0x22, 0xe2, 0x82, 0x22]],
  ['UTF-16', [0x5b, 0x00, 0x5d, 0x00, 0xff, 0xfe]],
  ['more than U+10FFFF', [0x22, 0xf4, 0x90, 0x80, 0x80, 0x22]],
])('refuses %s', (_what, invalid) => {
  expect(readStrictJson(Uint8Array.from(invalid), limits)).toEqual(malformed('not UTF-8'))
})

it('refuses a byte order mark in front, and takes the character inside a string', () => {
  expect(readStrictJson(Uint8Array.from([0xef, 0xbb, 0xbf, 0x7b, 0x7d]), limits)).toEqual(
    malformed('a byte order mark'),
  )
  expect(text('\ufeff{}')).toEqual(malformed('a byte order mark'))
  expect(text('"\ufeff"')).toEqual({ ok: true, value: '\ufeff' })
})

it.each([
  String.raw`"\ud800"`,
  String.raw`["ok","\udc00\ud800"]`,
  String.raw`{"\uDBFF":1}`,
  String.raw`{"a":{"b":["\ud83d"]}}`,
  '"\ud800"',
])('refuses a lone surrogate: %j', (json) => {
  expect(text(json)).toEqual(malformed('a lone surrogate'))
})

it.each([
  '',
  ' ',
  '{',
  '"',
  '"\\"',
  '[1,]',
  '{"a"}',
  '{a:1}',
  "'a'",
  '01',
  '1.',
  '.5',
  '+1',
  '-',
  'NaN',
  '[1]x',
  '{"a":1}}',
  '\u00a01',
  '"\n"',
  '"\\x"',
  '// c\n1',
])('refuses what is not JSON, without quoting it: %j', (json) => {
  const read = text(json)
  expect(read).toMatchObject({ ok: false, code: 'json_malformed' })
  if (!read.ok && json.trim() !== '') expect(read.detail.replace(/\d+$/, '')).not.toContain(json)
})

describe('size', () => {
  it('is counted in bytes and refused before anything is read', () => {
    const tooLarge = { ok: false, code: 'body_too_large', detail: 'more than 4 bytes' }
    expect(readStrictJson(bytes('"ab"'), { maxBytes: 4 }).ok).toBe(true)
    expect(readStrictJson(bytes('"abc"'), { maxBytes: 4 })).toEqual(tooLarge)
    expect(readStrictJsonText('"abc"', { maxBytes: 4 })).toEqual(tooLarge)
    expect(readStrictJsonText('"é"', { maxBytes: 4 }).ok).toBe(true)
    expect(readStrictJsonText('"é"', { maxBytes: 3 })).toMatchObject({ code: 'body_too_large' })
  })
})

describe('numbers', () => {
  it.each([
    '0',
    '-0',
    '0.1',
    '1.50',
    '100',
    '1E2',
    '1e-7',
    '2.50e1',
    '9007199254740991',
    '-9007199254740991',
    '0.30000000000000004',
    '5e-324',
    '0.0',
    '0e5',
    '2.2250738585072014e-308',
  ])('takes %s', (number) => {
    expect(text(`[${number}]`)).toEqual({ ok: true, value: [Number(number)] })
  })

  it.each([
    '9007199254740992',
    '9007199254740993',
    '-9007199254740993',
    '500.00000000000000001',
    '0.1000000000000000055',
    '1e400',
    '-1e999999999',
    '1e-400',
    '1e16',
    '123456789012345678',
  ])('refuses %s, which a reader of the text could take for another number, unless told to take it', (number) => {
    expect(text(`{"n":${number}}`)).toEqual(malformed('a number that is not exact at character 5'))
    expect(readStrictJsonText(number, { ...limits, exactNumbers: false })).toEqual({ ok: true, value: Number(number) })
  })

  // Scanning the rest again for each zero would block the whole process for half a minute. An unauthenticated caller could cause that.
  it.each([
    ['behind the point', `1.${'0'.repeat(250_000)}1`],
    ['behind the digits that count', `1.5${'0'.repeat(250_000)}`],
    ['in front', `0.${'0'.repeat(250_000)}1`],
  ])('of a quarter of a million zeros %s is read through once (V18)', { timeout: 10_000 }, (where, number) => {
    const read = readStrictJsonText(`[${number}]`, { maxBytes: 1e6 })
    expect(read.ok).toBe(where === 'behind the digits that count')
  })

  it('takes every safe number as JavaScript writes it', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const exact = !Number.isInteger(value) || Number.isSafeInteger(value)
        expect(text(String(value)).ok).toBe(exact)
      }),
    )
  })

  it('agrees with exact decimal arithmetic', () => {
    const digits = fc.stringMatching(/^[1-9]\d{0,20}$/)
    fc.assert(
      fc.property(digits, fc.nat(25), (whole, places) => {
        const padded = whole.padStart(places + 1, '0')
        const json = places === 0 ? whole : `${padded.slice(0, -places)}.${padded.slice(-places)}`
        // The shortest text that gives the same double, in units of 10^-400. It is exact only if it is the same number.
        const units = (number: string) => {
          const [, w = '', f = '', e = '0'] = /^(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/.exec(number) ?? []
          return BigInt(w + f) * 10n ** BigInt(400 - f.length + Number(e))
        }
        const value = Number(json)
        const same = units(json) === units(String(value)) && (!Number.isInteger(value) || Number.isSafeInteger(value))
        expect(text(json).ok).toBe(same)
      }),
    )
  })
})

it('stays within a small multiple of JSON.parse on an event of ordinary size', () => {
  const event = bytes(
    JSON.stringify({ a: Array.from({ length: 40 }, (_, n) => ({ id: `id-${n}`, n, text: 'x'.repeat(20) })) }),
  )
  const best = (read: () => void) => {
    let least = Number.POSITIVE_INFINITY
    for (let round = 0; round < 200; round++) {
      const started = performance.now()
      for (let n = 0; n < 10; n++) read()
      least = Math.min(least, performance.now() - started)
    }
    return least
  }
  const plain = best(() => JSON.parse(new TextDecoder().decode(event)))
  // Measured: 2 to 3 times. A quadratic scan would take hundreds.
  expect(best(() => readStrictJson(event, limits)) / plain).toBeLessThan(15)
})

it.each<[json: string, value: unknown]>([
  ['[9007199254740993, -9223372036854775808]', [9007199254740993n, -9223372036854775808n]],
  ['{"a": 18446744073709551616, "b": 1}', { a: 18446744073709551616n, b: 1 }],
  ['[0.30000000000000004, 1e300, 123456789012345678901]', [0.30000000000000004, 1e300, 123456789012345680000]],
  ['["9007199254740993"]', ['9007199254740993']],
  ['[1.5, -0.1, 1e-3, 2]', [1.5, -0.1, 1e-3, 2]],
])('keeps integers beyond 53 bits as bigint, where that is asked for: %s', (json, value) => {
  expect(readStrictJsonText(json, { maxBytes: 1000, bigIntegers: true })).toEqual({ ok: true, value })
})

it.each(['1.0', '-0.0', '1e3', '10e-1', '0.99999999999999999999', '1.00000000000000000001', '4503599627370497.2'])(
  'makes no integer of what is not written as one (V13): %s',
  (number) => {
    const read = (text: string) => readStrictJsonText(text, { maxBytes: 1000, bigIntegers: true })
    expect(read(number)).toEqual({ ok: true, value: Number.NaN })
    expect(read(`{"a":[${number},1],"b":"${number}"}`)).toEqual({ ok: true, value: { a: [Number.NaN, 1], b: number } })
  },
)
