import fc from 'fast-check'
import { expect, it } from 'vitest'
import { holdsResource, isIdPrefix, isResourceId, type ResourceScope, withinResource } from './resource.ts'

const prefix = 'https://erp.example/v1/invoices/'
const scope = { type: 'api', id_prefix: prefix }
const isBelow = (id: string) => holdsResource(scope, { type: 'api', id })

/** Servers interpret paths differently. Each of these does what some real server does. */
const servers: ((path: string) => string)[] = [
  (path) => path,
  (path) => new URL(`https://erp.example${path}`).pathname,
  (path) => resolved(decoded(path)),
  (path) => resolved(decoded(decoded(path))),
  (path) => resolved(decoded(path).replaceAll('\\', '/')),
  (path) => resolved(path.replaceAll('\\', '/').replace(/\/{2,}/g, '/')),
  (path) => resolved(path.replace(/;[^/]*/g, '')),
  (path) => resolved(decoded(path).replace(/;[^/]*/g, '')),
  (path) => resolved(path.split('\0')[0] ?? ''),
  (path) => resolved(decoded(path).normalize('NFKC')),
  (path) => resolved(path.replace(/\/\.{3,}(?=\/|$)/g, '/../..')),
]
const decoded = (path: string) =>
  path.replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
const resolved = (path: string): string => {
  const kept: string[] = []
  for (const segment of path.split('/').slice(1)) {
    if (segment === '..') kept.pop()
    else if (segment !== '.') kept.push(segment)
  }
  return `/${kept.join('/')}`
}

const pieces = fc.constantFrom(
  ...[
    'a',
    'admin',
    '..',
    '.',
    '...',
    '/',
    '//',
    '\\',
    '%2e',
    '%2E',
    '%2f',
    '%5c',
    '%252e',
    '%252f',
    '%c0%ae',
    '%c0%af',
  ],
  ...[
    ';',
    ';x=1',
    '?',
    '#',
    '%00',
    '\0',
    '\n',
    '\t',
    ' ',
    '%20',
    '@',
    ':',
    '@evil.example',
    '．．',
    '／',
    '。',
    '\u202e',
    '~',
    '%',
  ],
)
const tails = fc.array(pieces, { maxLength: 8 }).map((list) => list.join(''))

it('never holds an id that any server takes out of the prefix (V5)', () => {
  let held = 0
  fc.assert(
    fc.property(tails, (tail) => {
      if (!isBelow(prefix + tail)) return
      held++
      for (const server of servers) expect(server(`/v1/invoices/${tail}`).startsWith('/v1/invoices'), tail).toBe(true)
      expect(new URL(prefix + tail).origin).toBe('https://erp.example')
      expect(new URL(prefix + tail).href).toBe(prefix + tail)
    }),
    { numRuns: 5000 },
  )
  expect(held).toBeGreaterThan(50)
})

it('holds what plainly lies below, and nothing of a neighbour', () => {
  for (const tail of [
    '',
    '7',
    '7/lines',
    'a.b',
    'v1..2',
    '.well-known',
    '5:cancel',
    "Invoices('a')",
    'x@y',
    '$batch',
    'a,b=c&d+e!*',
  ]) {
    expect(isBelow(prefix + tail), tail).toBe(true)
  }
  for (const id of [
    'https://erp.example/v1/invoices',
    'https://erp.example/v1/invoicesadmin/1',
    'https://erp.example/V1/invoices/1',
    'http://erp.example/v1/invoices/1',
    'https://erp.example.evil.example/v1/invoices/1',
    'https://erp.example:443/v1/invoices/1',
    'https://erp.example@evil.example/v1/invoices/1',
    'https://ERP.example/v1/invoices/1',
    ` ${prefix}1`,
    `${prefix}${'a'.repeat(2048)}`,
  ]) {
    expect(isBelow(id), id).toBe(false)
  }
  expect(holdsResource(scope, { type: 'tool', id: `${prefix}1` })).toBe(false)
  const longest = prefix.padEnd(2048, 'a')
  expect([isBelow(longest), isBelow(`${longest}a`)]).toEqual([true, false])
  // A scope that has both is neither of the two.
  expect(holdsResource({ ...scope, id: `${prefix}1` }, { type: 'api', id: `${prefix}1` })).toBe(false)
})

it('takes as a prefix only a whole origin and whole segments', () => {
  for (const good of [
    'https://erp.example/',
    'http://localhost:8420/a/',
    'http://[::1]:80/',
    's3://bucket/key/',
    'https://a_b/',
  ]) {
    expect(isIdPrefix(good), good).toBe(true)
  }
  for (const bad of [
    ...[
      '',
      '/',
      'https://',
      'https:///',
      'https:/a/',
      '//erp.example/',
      'erp.example/',
      'https://erp.example',
      'https://erp.example/v1',
    ],
    ...[
      'Https://erp.example/',
      ' https://erp.example/',
      'https://u@erp.example/',
      'https://u:p@erp.example/',
      'https://erp.example:/',
      'https://erp.example:0/',
      'https://erp.example//',
    ],
    ...[
      'https://erp.example/a//',
      'https://erp.example/../',
      'https://erp.example/./',
      'https://erp.example/.../',
      'HTTPS://erp.example/',
    ],
    ...[
      'https://erp.example/%61/',
      'https://erp.example/a;b/',
      'https://erp.example/?/',
      'https://erp.example/#/',
      'https://erp.example./',
    ],
    ...[
      'https://*.example/',
      'https://erp.example/*?/',
      'https://ërp.example/',
      'https://erp.example/a b/',
      'https://erp.example/\n',
    ],
  ]) {
    expect(isIdPrefix(bad), bad).toBe(false)
  }
})

it('refuses an id that would deceive its reader', () => {
  for (const good of [
    'invoices.read',
    'a',
    'https://erp.example/a?b=c',
    'file:///data/q3%20report.pdf',
    'urn:x:y',
    'a..b',
    'x/y/',
  ]) {
    expect(isResourceId(good), good).toBe(true)
  }
  for (const bad of [
    '',
    ' ',
    'a b',
    '.',
    '..',
    'a/..',
    '../a',
    'a/./b',
    'a/..;/b',
    'a/..?b',
    'a/%2e%2e/b',
    'a%2fb',
    'a\\b',
    'ä',
    'a\u202eb',
    'a%00',
  ]) {
    expect(isResourceId(bad), bad).toBe(false)
  }
})

it('holds no scope of another type, even when one prefix lies below the other', () => {
  const [outer, inner] = ['https://h/', 'https://h/a/'].map((id_prefix) => ({ type: 'x', id_prefix })) as [
    ResourceScope,
    ResourceScope,
  ]
  expect(withinResource(inner, outer)).toBe(true)
  expect(withinResource({ ...inner, type: 'y' }, outer)).toBe(false)
})

it('knows one scope within another exactly as the ids say (V5)', () => {
  const ids = [
    't',
    'https://h/',
    'https://h/a',
    'https://h/a/',
    'https://h/a/b',
    'https://h/a/../b',
    'https://h/ab',
    'https://h:1/a/b',
  ]
  const scopes: ResourceScope[] = ['x', 'y'].flatMap((type) => [
    ...ids.map((id) => ({ type, id })),
    ...['https://h/', 'https://h/a/', 'https://h/a/b/', 'https://h:1/'].map((id_prefix) => ({ type, id_prefix })),
    { type },
    { type, id: 't', id_prefix: 'https://h/' },
  ])
  const universe = ['x', 'y'].flatMap((type) => [...ids, 'https://h/a/b/c'].map((id) => ({ type, id })))
  for (const child of scopes) {
    for (const parent of scopes) {
      const escaping = universe.filter((resource) => holdsResource(child, resource) && !holdsResource(parent, resource))
      if (withinResource(child, parent)) expect(escaping, JSON.stringify([child, parent])).toEqual([])
      else if (child.id !== undefined && child.id_prefix === undefined) expect(escaping).toHaveLength(1)
    }
  }
})
