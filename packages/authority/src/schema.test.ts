import { expect, it } from 'vitest'
import { authoritySchema, longestChain } from './schema.ts'

const whole = {
  type: 'bailiwick_task',
  task: 'a task',
  permissions: [
    {
      actions: ['GET'],
      resource: { type: 'api', id: 'a' },
      where: { '/a': { eq: true, in: ['x', false], min: '1', max: '2', prefix: 'p' } },
      cost: { amount: '/a', currency: '/c' },
      max_uses: 1,
    },
  ],
  budget: { calls: 1, cost: { EUR: '1' }, egress_bytes: 1 },
  max_depth: 1,
  max_children: 1,
}

/** The problems found once the member at a path has this value: our own messages, otherwise zod's codes. */
function wrongs(path: string, value: unknown): string[] {
  const copy = structuredClone(whole)
  const members = path.split(' ')
  const last = members.pop() ?? ''
  const holder = members.reduce((at, member) => at[member] as Record<string, unknown>, copy as Record<string, unknown>)
  holder[last] = value
  return reasonsOf(authoritySchema.safeParse(copy).error?.issues ?? [])
}

interface Issue {
  code?: string | undefined
  message: string
  issues?: readonly Issue[]
  errors?: readonly (readonly Issue[])[]
}
function reasonsOf(issues: readonly Issue[]): string[] {
  return issues.flatMap(({ code = '', message, issues = [], errors = [] }) => {
    const own = code === 'custom' || code === 'invalid_format' ? message : code
    return [own, ...reasonsOf([...issues, ...errors.flat()])]
  })
}

const many = <T>(count: number, make: (n: number) => T): T[] => Array.from({ length: count }, (_, n) => make(n))
const keyed = <T>(count: number, key: (n: number) => string, value: T) =>
  Object.fromEntries(many(count, (n) => [key(n), value]))
const letters = (count: number) => 'a'.repeat(count)
const digits = (count: number) => '1'.repeat(count)
const letter = (n: number) => String.fromCharCode(65 + n)
const [permission] = whole.permissions
const where = (pointer: string) => ({ [pointer]: { eq: true } })

const task = 'not 1 to 200 characters of printable ASCII'
const action = 'not visible ASCII of 1 to 200 characters'
const type = 'not visible ASCII of 1 to 100 characters'
const unicode = 'not well-formed Unicode'
const decimal = 'not a decimal string'
const pointer = 'not a JSON pointer'
const amount = 'not an amount with at most 6 fraction digits'

it.each<[path: string, taken: unknown[], refused: [why: string, ...values: unknown[]][]]>([
  ['type', ['bailiwick_task'], [['invalid_value', 'other', '', 5]]],
  ['task', ['a', '!', '~', 'a b', letters(200)], [[task, '', ' ', ' a', 'a ', letters(201), 'a\tb', '\u00e9']]],
  [
    'permissions',
    [many(64, () => permission)],
    [
      ['too_small', []],
      ['too_big', many(65, () => permission)],
    ],
  ],
  [
    'permissions 0 actions',
    [many(64, String)],
    [
      ['too_small', []],
      ['too_big', many(65, String)],
    ],
  ],
  ['permissions 0 actions 0', ['!', '~', letters(200)], [[action, '', ' ', 'a b', letters(201), 'a\n']]],
  ['permissions 0 resource type', ['!', '~', letters(100)], [[type, '', ' ', 'a b', letters(101), 'a\n']]],
  [
    'permissions 0 resource id',
    ['a', letters(2048)],
    [
      ['too_small', ''],
      ['too_big', letters(2049)],
      ['not a resource id in normal form', 'a/../b'],
    ],
  ],
  [
    'permissions 0 resource',
    ['https://h/', `https://h/${letters(2037)}/`].map((id_prefix) => ({ type: 't', id_prefix })),
    [
      ['needs id or id_prefix', { type: 't' }, { type: 't', id: 'a', id_prefix: 'https://h/' }],
      ['too_big', { type: 't', id_prefix: `https://h/${letters(2038)}/` }],
      ['not a URL in normal form that ends in /', { type: 't', id_prefix: 'https://h/a' }],
    ],
  ],
  [
    'permissions 0 where',
    [keyed(32, (n) => `/${n}`, { eq: true }), ...['/', '/a//b', '/~0~1/c', `/${letters(255)}`].map(where)],
    [
      ['needs 1 to 32 pointers', {}, keyed(33, (n) => `/${n}`, { eq: true })],
      [pointer, ...['', 'a', 'a/b', '/~', '/~2', '/a~/b'].map(where)],
      [unicode, where('/\ud800')],
      ['too_big', where(`/${letters(256)}`)],
    ],
  ],
  [
    'permissions 0 where /a',
    [{ eq: 'x' }, { min: '1' }],
    [
      ['compares with nothing', {}],
      ['unrecognized_keys', { eq: 'x', regex: 'x' }],
    ],
  ],
  [
    'permissions 0 where /a eq',
    ['', letters(2048), false],
    [
      ['too_big', letters(2049)],
      [unicode, '\ud800'],
      ['invalid_union', 5, null],
    ],
  ],
  [
    'permissions 0 where /a in',
    [[''], many(256, String)],
    [
      ['too_small', []],
      ['too_big', many(257, String)],
    ],
  ],
  ...['min', 'max'].map((name): [string, unknown[], [string, ...unknown[]][]] => [
    `permissions 0 where /a ${name}`,
    ['0', '-0', '10', '-1.50', '0.05', `-${digits(37)}.1`],
    [
      [decimal, '', '01', '1.', '.1', '1e2', '+1', '--1', '1.2.3', 'x1', '1x'],
      ['more than 38 digits', digits(39)],
      ['too_big', `-${digits(37)}.11`],
    ],
  ]),
  [
    'permissions 0 where /a prefix',
    ['x', letters(2048)],
    [
      ['too_small', ''],
      ['too_big', letters(2049)],
      [unicode, '\ud800'],
    ],
  ],
  ['permissions 0 cost', [{ amount: '/x', currency: '/y' }], [['invalid_type', { amount: '/x' }, { currency: '/y' }]]],
  ['permissions 0 cost amount', ['/x'], [[pointer, 'x']]],
  [
    'permissions 0 max_uses',
    [1, 1_000_000_000],
    [
      ['too_small', 0, -1],
      ['too_big', 1_000_000_001],
      ['invalid_type', 1.5, '1', undefined],
    ],
  ],
  ['budget', [{}], [['invalid_type', null, 5]]],
  [
    'budget calls',
    [0, 1],
    [
      ['too_small', -1],
      ['invalid_type', 0.5],
    ],
  ],
  [
    'budget egress_bytes',
    [0, 1],
    [
      ['too_small', -1],
      ['invalid_type', 0.5],
    ],
  ],
  [
    'budget cost',
    [{}, keyed(16, (n) => `EU${letter(n)}`, '1')],
    [
      ['more than 16 currencies', keyed(17, (n) => `EU${letter(n)}`, '1')],
      ['not a currency code', ...['eur', 'EU', 'EURO', 'xEUR', ''].map((code) => ({ [code]: '1' }))],
    ],
  ],
  [
    'budget cost EUR',
    ['0', '0.1', '10', '0.123456', digits(21)],
    [[amount, '', '01', '1.', '0.1234567', '-1', digits(22), 'x1', '1x']],
  ],
  [
    'max_depth',
    [0, 8],
    [
      ['too_small', -1],
      ['too_big', 9],
    ],
  ],
  [
    'max_children',
    [0, 1000],
    [
      ['too_small', -1],
      ['too_big', 1001],
    ],
  ],
])('takes of %s as much as it may be, and no more', (path, taken, refused) => {
  for (const value of taken) expect(wrongs(path, value), JSON.stringify(value)).toEqual([])
  for (const [why, ...values] of refused)
    for (const value of values) expect(wrongs(path, value), JSON.stringify(value)).toContain(why)
})

it.each(['extra', 'permissions 0 extra', 'permissions 0 resource extra', 'permissions 0 cost extra', 'budget extra'])(
  'knows no other member: %s',
  (path) => {
    expect(wrongs(path, 1)).toEqual(['unrecognized_keys'])
  },
)

it('needs a task and permissions; the rest of it has a default, and of a permission may be absent', () => {
  const [{ actions, resource }] = whole.permissions as [typeof permission & object]
  const least = { type: 'bailiwick_task', task: 'a', permissions: [{ actions, resource }] }
  expect(authoritySchema.parse(least)).toEqual({ ...least, budget: {}, max_depth: 0, max_children: 0 })
  expect(authoritySchema.parse(whole)).toEqual(whole)
  for (const member of ['type', 'task', 'permissions'])
    expect(authoritySchema.safeParse({ ...least, [member]: undefined }).success, member).toBe(false)
  for (const [one] of ['actions', 'resource'].map((member) => [{ actions, resource, [member]: undefined }]))
    expect(authoritySchema.safeParse({ ...least, permissions: [one] }).success).toBe(false)
})

it('lets as many delegations follow one another as any chain may have', () => {
  expect(longestChain).toBe(8)
  expect(wrongs('max_depth', longestChain)).toEqual([])
})
