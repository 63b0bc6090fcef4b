import fc from 'fast-check'
import { expect, it } from 'vitest'
import { normalizeHtu } from './htu.ts'

it.each([
  ['https://api.example/a', 'https://api.example/a'],
  ['HTTPS://API.Example/a', 'https://api.example/a'],
  ['https://api.example:443/a', 'https://api.example/a'],
  ['http://api.example:80/a', 'http://api.example/a'],
  ['https://api.example:/a', 'https://api.example/a'],
  ['https://api.example', 'https://api.example/'],
  ['https://api.example?x=1', 'https://api.example/'],
  ['https://api.example/a?x=1#y', 'https://api.example/a'],
  ['https://api.example/a?x=|"<', 'https://api.example/a'],
  ['https://api.example/a#', 'https://api.example/a'],
  ['https://api.example/%7Euser', 'https://api.example/~user'],
  ['https://api.example/%7euser', 'https://api.example/~user'],
  ['https://api.example/%41%2D%5f', 'https://api.example/A-_'],
  ['https://api.example/a%2fb', 'https://api.example/a%2Fb'],
  ['https://api.example/%c3%bc', 'https://api.example/%C3%BC'],
  ['https://api.example/a/./b/../c', 'https://api.example/a/c'],
  ['https://api.example/a/%2e%2E/c', 'https://api.example/c'],
  ['http://[::1]:8420/x', 'http://[::1]:8420/x'],
  ['http://[0:0::1]:8420/x', 'http://[::1]:8420/x'],
  ['http://localhost:8420/access/v1/evaluation', 'http://localhost:8420/access/v1/evaluation'],
])('%s is the same target as %s', (uri, normal) => {
  expect(normalizeHtu(uri)).toBe(normal)
})

it.each([
  ['https://api.example/a', 'https://api.example/A'],
  ['https://api.example/a', 'https://api.example/a/'],
  ['https://api.example/a', 'http://api.example/a'],
  ['https://api.example/a', 'https://api.example:8443/a'],
  ['https://api.example/a', 'https://api.example:80/a'],
  ['https://api.example/a', 'https://api.example./a'],
  ['https://api.example/a', 'https://evil.example/a'],
  ['https://api.example/a/b', 'https://api.example/a%2Fb'],
  ['https://api.example/a/b', 'https://api.example/a//b'],
  ['https://api.example/a%3Fb', 'https://api.example/a'],
  ['https://api.example/a%25', 'https://api.example/a%2525'],
  ['https://api.example/a+b', 'https://api.example/a%20b'],
  ['https://api.example/a;b', 'https://api.example/a%3Bb'],
])('%s is another target than %s', (one, other) => {
  expect(normalizeHtu(one)).toBeDefined()
  expect(normalizeHtu(one)).not.toBe(normalizeHtu(other))
})

it.each([
  [''],
  ['/a'],
  ['//api.example/a'],
  ['api.example/a'],
  ['ftp://api.example/a'],
  ['javascript:alert(1)'],
  ['https:api.example/a'],
  ['https:/api.example/a'],
  ['https:///api.example/a'],
  ['https:\\\\api.example\\a'],
  ['https://api.example\\@evil.example/a'],
  ['https://user@api.example/a'],
  ['https://user:pass@api.example/a'],
  ['https://api.example/a b'],
  [' https://api.example/a'],
  ['https://api.example/a\n'],
  ['https://api.exa\tmple/a'],
  ['https://api.example/a%'],
  ['https://api.example/a%2'],
  ['https://api.example/a%zz'],
  ['https://api.example/ü'],
  ['https://bücher.example/'],
  ['https://api.example:99999/a'],
  ['https://api.example:x/a'],
  ['https://[::1/a'],
  ['https://'],
  [`https://api.example/${'a'.repeat(9000)}`],
])('%j is no target', (uri) => {
  expect(normalizeHtu(uri)).toBeUndefined()
})

it('normalises what is normal to itself', () => {
  const piece = fc.constantFrom('a', 'B', '%7e', '%2F', '%2e', '.', '..', '/', '%C3', '~', ';', '@', ':')
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const normal = normalizeHtu(`HTTP://Host.example:80/${pieces.join('')}`)
      expect(normal).toBeDefined()
      expect(normalizeHtu(normal ?? '')).toBe(normal)
    }),
    { numRuns: 500 },
  )
})
