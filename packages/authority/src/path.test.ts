import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bothConstraints, impliesConstraint, satisfies } from './constraint.ts'
import { misleadingPrefix, prefixWithin, startsInside } from './path.ts'
import type { Authority, Constraint } from './schema.ts'

const folder = '/srv/reports/'

/** Servers interpret paths differently. Each of these does what some real server does. */
const servers: ((path: string) => string)[] = [
  (path) => resolved(path),
  (path) => new URL(`https://h${path}`).pathname,
  (path) => resolved(decoded(path)),
  (path) => resolved(decoded(decoded(path))),
  (path) => resolved(decoded(path).replaceAll('\\', '/')),
  (path) => resolved(path.replace(/;[^/]*/g, '')),
  (path) => resolved(path.split('\0')[0] ?? ''),
  (path) => resolved(decoded(path).split('\0')[0] ?? ''),
  (path) => resolved(path.replace(/[\t\r\n]/g, '')),
  (path) => resolved(decoded(path).trim()),
  (path) => resolved(path.replaceAll('\\', '/').replace(/[. ]+(?=\/|$)/g, (run) => run.replaceAll(' ', ''))),
  (path) => resolved(path.replace(/\/\.{3,}(?=\/|$)/g, '/../..')),
  (path) => resolved(path.replace(/:[^/]*/g, '')),
  (path) => resolved(trimmed(path)),
  (path) => resolved(trimmed(decoded(path))),
  // Like the value of a form field, which many clients put into a query unescaped.
  (path) => resolved(trimmed(utf8(path.replaceAll('+', ' ')))),
  // The last absolute path wins, as when parts are joined.
  (path) => resolved(path.slice(Math.max(0, path.lastIndexOf('//')))),
]
/** Keeps escapes that are invalid, and reads overlong UTF-8, like careless decoders. */
const decoded = (path: string) =>
  path
    .replace(/%c0%a([ef])/gi, (_, low) => (/e/i.test(low) ? '.' : '/'))
    .replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
const trimmed = (path: string) =>
  path
    .split('/')
    .map((segment) => segment.trim())
    .join('/')
const utf8 = (path: string) => {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}
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
    'etc',
    '..',
    '.',
    '...',
    '/',
    '//',
    '\\',
    ' ',
    '\u00a0',
    '\0',
    '\t',
    '\n',
    '\u0085',
    '~',
    ':',
    ';',
    '?',
    '#',
  ],
  ...[
    '%2e',
    '%2E',
    '%2f',
    '%5c',
    '%00',
    '%25',
    '%252e',
    '%',
    '%32e',
    '%c0%ae',
    '%c0%af',
    '%20',
    '%41',
    '%c2%a0',
    '%e3%80%80',
    '+',
    '\uff0e\uff0e',
  ],
)
const tails = fc.array(pieces, { maxLength: 6 }).map((list) => list.join(''))

it('covers no value that any server takes out of the folder (V5)', () => {
  let inside = 0
  fc.assert(
    fc.property(tails, (tail) => {
      if (!satisfies(folder + tail, { prefix: folder })) return
      inside++
      for (const server of servers) expect(`${server(folder + tail)}/`.startsWith(folder), tail).toBe(true)
    }),
    { numRuns: 20_000 },
  )
  expect(inside).toBeGreaterThan(500)
})

const prefixes = [
  ...[
    '/',
    '/a/',
    '/a/b/',
    '/a',
    '/a/.',
    '/a/../',
    '/a//',
    'a',
    'a/',
    './a/',
    'f:/',
    'f://',
    'f://a/',
    'f:///',
    '.',
    '~/',
  ],
]
const values = prefixes.flatMap((prefix) =>
  ['', 'a', 'a/', '/a', '../a', '..', '.', './', '%2e%2e', '\\a', '\0', '?a', 'a/..b/'].map((tail) => prefix + tail),
)
const constraints: fc.Arbitrary<Constraint> = fc.oneof(
  fc.constantFrom(...prefixes).map((prefix) => ({ prefix })),
  fc.constantFrom(...values).map((eq) => ({ eq })),
  fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 3 }).map((list) => ({ in: list })),
  fc.record({ prefix: fc.constantFrom(...prefixes), eq: fc.constantFrom(...values) }),
)

it('follows for values and prefixes from nothing that covers more, by all values of a small universe (V5)', () => {
  const answers = { implies: 0, refuses: 0, common: 0 }
  fc.assert(
    fc.property(constraints, constraints, (child, parent) => {
      expect([impliesConstraint(child, child), impliesConstraint(parent, parent)]).toEqual([true, true])
      const implies = impliesConstraint(child, parent)
      answers[implies ? 'implies' : 'refuses']++
      const both = bothConstraints(child, parent)
      if (both !== undefined) answers.common++
      for (const value of values) {
        if (implies && satisfies(value, child)) expect([value, satisfies(value, parent)]).toEqual([value, true])
        if (both !== undefined && satisfies(value, both))
          expect([value, satisfies(value, child), satisfies(value, parent)]).toEqual([value, true, true])
      }
    }),
    { numRuns: 5000 },
  )
  expect(Math.min(...Object.values(answers))).toBeGreaterThan(60)
})

it('lies within: every pair of prefixes by every value, and no chain breaks (V5)', () => {
  for (const a of prefixes)
    for (const b of prefixes) {
      if (prefixWithin(a, b))
        for (const value of values)
          expect([a, b, value, startsInside(value, a) && !startsInside(value, b)]).toEqual([a, b, value, false])
      for (const c of prefixes)
        if (prefixWithin(a, b) && prefixWithin(b, c)) expect([a, b, c, prefixWithin(a, c)]).toEqual([a, b, c, true])
    }
})

describe('a prefix that promises a boundary it does not keep', () => {
  const asked = (...prefixesOf: string[]): Authority => ({
    type: 'bailiwick_task',
    task: 't',
    permissions: prefixesOf.map((prefix) => ({
      actions: ['tools/call'],
      resource: { type: 'tool', id: 't' },
      where: { '/n': { max: '1' }, '/path': { prefix } },
    })),
    budget: {},
    max_depth: 0,
    max_children: 0,
  })

  it.each([
    '/srv',
    '/srv/reports',
    'reports/2025',
    '~',
    '~root',
    'C:',
    'c:reports',
    'C:\\reports\\',
    '\\\\host',
    '.',
    '..',
    'https://h',
  ])('%j is found, with what to do', (prefix) => {
    expect(misleadingPrefix(asked('x', prefix))).toMatch(/^\/permissions\/1\/where: .*end it in \//)
  })

  it.each(['/srv/../a/', './reports/', '../', '/a//b/', '/%2e%2e/', '/a\0/', 'C:\\a/', '//host/'])(
    '%j is found: nothing lies inside',
    (prefix) => {
      expect(misleadingPrefix(asked(prefix))).toMatch(/^\/permissions\/0\/where: .*plain path/)
    },
  )

  it.each([
    'INV-',
    'a',
    '1',
    '.well',
    'DE',
    'mailto:',
    '/',
    '/srv/reports/',
    'reports/',
    '~/a/',
    'C:/a/',
    'https://h/',
    'file:///a/',
  ])('%j is none', (prefix) => {
    expect(misleadingPrefix(asked(prefix))).toBeUndefined()
  })

  it('is found only where there is one', () => {
    expect(
      misleadingPrefix({ ...asked(), permissions: [{ actions: ['a'], resource: { type: 'tool', id: 't' } }] }),
    ).toBeUndefined()
  })
})
