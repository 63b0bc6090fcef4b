import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseAuthority } from './parse-authority.ts'
import { authorities } from './small-universe.ts'

/** DESIGN §7.1's example. */
const example = {
  type: 'bailiwick_task',
  task: 'reconcile-q3-invoices',
  permissions: [
    { actions: ['tools/call'], resource: { type: 'tool', id: 'invoices.read' } },
    {
      actions: ['tools/call'],
      resource: { type: 'tool', id: 'adjustments.post' },
      where: { '/amount': { max: '500' }, '/currency': { in: ['EUR'] } },
      cost: { amount: '/amount', currency: '/currency' },
      max_uses: 10,
    },
    { actions: ['GET'], resource: { type: 'api', id_prefix: 'https://erp.example/v1/invoices/' } },
  ],
  budget: { calls: 200, cost: { EUR: '2000.00' }, egress_bytes: 1_000_000 },
  max_depth: 2,
  max_children: 5,
}
const refusal = (input: unknown) => {
  const parsed = parseAuthority(input)
  return parsed.ok ? 'ok' : parsed.code
}
/** The example with the member at a path changed or removed. */
function edited(path: string, value?: unknown): unknown {
  const copy = structuredClone(example)
  const members = path.split(' ')
  const last = members.pop() ?? ''
  const holder = members.reduce(
    (at, member) => at[member] as Record<string, unknown>,
    copy as unknown as Record<string, unknown>,
  )
  if (value === undefined) delete holder[last]
  else holder[last] = value
  return copy
}

it('reads the example of the design unchanged', () => {
  expect(parseAuthority(example)).toEqual({ ok: true, authority: example })
})

it('states the defaults of what was left out, so that what is signed says everything', () => {
  const { budget: _, max_depth: __, max_children: ___, ...rest } = example
  expect(parseAuthority(rest)).toEqual({ ok: true, authority: { ...rest, budget: {}, max_depth: 0, max_children: 0 } })
})

it('reads again what it has read', () => {
  fc.assert(
    fc.property(authorities, (authority) => {
      expect(parseAuthority(authority)).toEqual({ ok: true, authority })
    }),
  )
})

describe('does not understand an unknown member', () => {
  it.each([
    'extra',
    'permissions 0 extra',
    'permissions 0 resource extra',
    'permissions 1 where /amount regex',
    'permissions 1 cost extra',
    'budget extra',
    'permissions 0 not',
    'permissions 0 toString',
    'permissions 0 constructor',
    'hasOwnProperty',
  ])('at %s', (path) => {
    expect(refusal(edited(path, { max: '1' }))).toBe('authority_not_understood')
  })

  it.each([
    ['', (text: string) => text.replace('{', '{"__proto__":{"task":"x"},')],
    ['/permissions/1/where', (text: string) => text.replace('"where":{', '"where":{"__proto__":{"max":"1"},')],
    [
      '/permissions/1/where/~1amount',
      (text: string) => text.replace('"/amount":{', '"/amount":{"__proto__":{"max":"1"},'),
    ],
    ['/budget/cost', (text: string) => text.replace('"cost":{"EUR"', '"cost":{"__proto__":"1","EUR"')],
  ])('called __proto__, at %s', (_, edit) => {
    const text = edit(JSON.stringify(example))
    expect(text).toContain('__proto__')
    expect(refusal(JSON.parse(text))).toBe('authority_not_understood')
  })

  it('nor a type of another language', () => {
    expect(refusal(edited('type', 'payment_initiation'))).toBe('authority_not_understood')
    expect(refusal(edited('type', 5))).toBe('authority_malformed')
    expect(refusal(edited('type'))).toBe('authority_malformed')
  })
})

describe('refuses as malformed', () => {
  const many = <T>(count: number, make: (n: number) => T): T[] => Array.from({ length: count }, (_, n) => make(n))
  const permission = example.permissions[0]
  const wheres = (count: number) => Object.fromEntries(many(count, (n) => [`/${n}`, { eq: true }]))

  it.each<[string, unknown]>([
    ['task', ''],
    ['task', 'a\nb'],
    ['task', ' a'],
    ['task', 'a\u202eb'],
    ['task', 'a'.repeat(201)],
    ['permissions', []],
    ['permissions', {}],
    ['permissions', many(65, () => permission)],
    ['permissions 0', null],
    ['permissions 0 actions', []],
    ['permissions 0 actions', 'GET'],
    ['permissions 0 actions', [' GET']],
    ['permissions 0 actions', many(65, (n) => `a${n}`)],
    ['permissions 0 actions 0', 'a'.repeat(201)],
    ['permissions 0 resource', { type: 'tool' }],
    ['permissions 0 resource', { type: 'tool', id: 'a', id_prefix: 'https://h/' }],
    ['permissions 0 resource', { type: '', id: 'a' }],
    ['permissions 0 resource id', 'a/../b'],
    ['permissions 0 resource id', 'a'.repeat(2049)],
    ['permissions 2 resource id_prefix', 'https://erp.example/v1/invoices'],
    ['permissions 2 resource id_prefix', '/v1/invoices/'],
    ['permissions 2 resource id_prefix', 'https://erp.example/v1/../'],
    ['permissions 1 where', {}],
    ['permissions 1 where', wheres(33)],
    ['permissions 1 where amount', { max: '1' }],
    ['permissions 1 where ', { max: '1' }],
    ['permissions 1 where /a~', { max: '1' }],
    ['permissions 1 where /amount', {}],
    ['permissions 1 where /amount max', 500],
    ['permissions 1 where /amount max', '1e2'],
    ['permissions 1 where /amount max', 'NaN'],
    ['permissions 1 where /amount max', '+1'],
    ['permissions 1 where /amount max', '1'.repeat(39)],
    ['permissions 1 where /amount eq', 5],
    ['permissions 1 where /amount eq', null],
    ['permissions 1 where /amount eq', '\ud800'],
    ['permissions 1 where /amount prefix', ''],
    ['permissions 1 where /amount prefix', 'a'.repeat(2049)],
    ['permissions 1 where /currency in', []],
    ['permissions 1 where /currency in', many(257, String)],
    ['permissions 1 cost', { amount: '/amount' }],
    ['permissions 1 cost currency', 'EUR'],
    ['permissions 1 max_uses', 0],
    ['permissions 1 max_uses', 1.5],
    ['permissions 1 max_uses', '10'],
    ['permissions 1 max_uses', 1e10],
    ['budget', null],
    ['budget calls', -1],
    ['budget calls', 2 ** 53],
    ['budget cost EUR', '-1'],
    ['budget cost EUR', '0.0000001'],
    ['budget cost EUR', 2000],
    ['budget cost EUR', '1'.repeat(22)],
    ['budget cost eur', '1'],
    ['budget cost EURO', '1'],
    ['max_depth', 9],
    ['max_depth', -1],
    ['max_children', 1001],
  ])('%s: %j', (path, value) => {
    expect(refusal(edited(path, value))).toBe('authority_malformed')
  })

  it('what leaves out what has no default', () => {
    for (const path of [
      'task',
      'permissions',
      'permissions 0 actions',
      'permissions 0 resource',
      'permissions 1 cost amount',
    ]) {
      expect(refusal(edited(path)), path).toBe('authority_malformed')
    }
  })

  it('what is too large or too deep to look at, without looking at it', () => {
    const loop: unknown[] = []
    loop.push(loop)
    expect(parseAuthority(loop)).toMatchObject({ detail: 'nested too deeply' })
    expect(parseAuthority([[[[[[1]]]]]])).toMatchObject({ detail: '/: invalid_type' })
    expect(parseAuthority([[[[[[[]]]]]]])).toMatchObject({ detail: 'nested too deeply' })
    expect(parseAuthority(many(5000, () => 1))).toMatchObject({ detail: 'more than 4096 values' })
    const longWhere = { in: many(10, (n) => `${n}`.padEnd(2000, 'x')) }
    expect(parseAuthority(edited('permissions 1 where /amount', longWhere))).toMatchObject({
      detail: 'more than 16384 characters',
    })
    // A credential could be minted from it, but would fit in no header.
    const long = { in: many(5, (n) => `${n}`.padEnd(2000, 'x')) }
    expect(parseAuthority(edited('permissions 1 where /amount', long))).toMatchObject({
      detail: 'more than 8192 bytes of JSON',
    })
  })
})

it('says where it is wrong and how, by a pointer of at most 100 characters', () => {
  const notUnderstood = (detail: string) => ({ ok: false, code: 'authority_not_understood', detail })
  const malformed = (detail: string) => ({ ok: false, code: 'authority_malformed', detail })
  expect(parseAuthority(edited('permissions 0 extra', 1))).toEqual(notUnderstood('/permissions/0: unknown member'))
  expect(parseAuthority(edited('type', 'other'))).toEqual(notUnderstood('/type: unknown type'))
  expect(parseAuthority(JSON.parse('{"__proto__":1}'))).toEqual(notUnderstood('/: unknown member __proto__'))
  expect(parseAuthority(edited('max_depth', 9))).toEqual(malformed('/max_depth: too_big'))
  expect(parseAuthority(edited('task', ''))).toEqual(malformed('/task: not 1 to 200 characters of printable ASCII'))
  expect(parseAuthority(edited('permissions 0 resource id', 'a/../b'))).toEqual(
    malformed('/permissions/0/resource/id: not a resource id in normal form'),
  )
  const where = (pointer: string) => edited(`permissions 1 where ${pointer}`, { max: '1e2' })
  expect(parseAuthority(where('/a~0b'))).toEqual(malformed('/permissions/1/where/~1a~00b/max: not a decimal string'))
  expect(parseAuthority(where(`/${'a'.repeat(200)}`))).toEqual(
    malformed(`/permissions/1/where/~1${'a'.repeat(77)}: not a decimal string`),
  )
  expect(parseAuthority(where(`/${'a'.repeat(76)}\u{1f600}`))).toEqual(
    malformed(`/permissions/1/where/~1${'a'.repeat(76)}\ufffd: not a decimal string`),
  )
})

it('takes as much as it may be, and no more', () => {
  const looked = { code: 'authority_malformed', detail: '/: invalid_type' }
  const texts = (count: number, length: number) => Array.from({ length: count }, () => 'x'.repeat(length))
  expect(parseAuthority(texts(4096, 0))).toMatchObject(looked)
  expect(parseAuthority(texts(4097, 0))).toMatchObject({ code: 'authority_malformed', detail: 'more than 4096 values' })
  expect(parseAuthority(texts(8, 2048))).toMatchObject(looked) // places in a list are no characters
  expect(parseAuthority([...texts(8, 2048), 'x'])).toMatchObject({ detail: 'more than 16384 characters' })
  expect(parseAuthority({ ['k'.repeat(16_384)]: 1 })).toMatchObject({ detail: '/: unknown member' })
  expect(parseAuthority({ ['k'.repeat(16_385)]: 1 })).toMatchObject({ detail: 'more than 16384 characters' })
  const least = edited('permissions 1 where /amount', { in: [...texts(3, 2048), ''] })
  const padded = (length: number) =>
    edited('permissions 1 where /amount', { in: [...texts(3, 2048), 'x'.repeat(length)] })
  const room = 8192 - JSON.stringify(least).length
  expect(parseAuthority(padded(room))).toMatchObject({ ok: true })
  expect(parseAuthority(padded(room + 1))).toEqual({
    ...{ ok: false, code: 'authority_malformed', detail: 'more than 8192 bytes of JSON' },
  })
})

it('gives an answer to anything, and repeats no value in it (V13, V17)', () => {
  fc.assert(
    fc.property(fc.anything(), (input) => {
      expect(parseAuthority(input).ok).toBe(false)
    }),
  )
  const secret = 'eyJhbGciOi'
  for (const path of ['task', 'permissions 0 resource id', 'permissions 1 where /amount max', 'budget cost EUR']) {
    const parsed = parseAuthority(edited(path, `${secret}\n`))
    expect(parsed).toMatchObject({ ok: false, detail: expect.stringMatching(/^\/(task|permissions|budget)/) })
    expect(JSON.stringify(parsed)).not.toContain(secret)
  }
})
