import { expect, it } from 'vitest'
import { type Manifest, manifestHash, parseManifest } from './manifest.ts'
import { parsePin, pinFileOf, pinFileText } from './pins.ts'

const manifestWith = (inputSchema: string): Manifest => ({
  identity: { url: 'https://books.example/mcp' },
  server_info: { name: 'books' },
  instructions: null,
  tools: { read: { name: 'read', inputSchema: JSON.parse(inputSchema) } },
  prompts: {},
  templates: {},
})

it('is read back with all numbers that a server may write into its schemas', () => {
  for (const number of ['18446744073709551615', '1e21', '9007199254740993', '0.1']) {
    const manifest = manifestWith(`{"type":"object","properties":{"n":{"maximum":${number}}}}`)
    const pin = { manifest, hash: manifestHash(manifest) }
    expect(parsePin(pinFileOf(pin, 'books.json'), 'books.json').hash).toBe(pin.hash)
  }
})

it('is not indented where that would make it too long to be read', () => {
  let schema: object = { enum: Array.from({ length: 200_000 }, () => 1) }
  for (let depth = 0; depth < 40; depth++) schema = { not: schema }
  const manifest = manifestWith(JSON.stringify(schema))
  expect(Buffer.byteLength(JSON.stringify(manifest, undefined, 2))).toBeGreaterThan(16 * 1024 * 1024)
  const pin = { manifest, hash: manifestHash(manifest) }
  expect(parsePin(pinFileOf(pin, 'books.json'), 'books.json').hash).toBe(pin.hash)
})

it('is not written where it would be read as another', () => {
  const manifest = manifestWith('{}')
  expect(() => pinFileOf({ manifest, hash: 'another' }, 'books.json')).toThrow('config_invalid')
  expect(parseManifest(JSON.parse(pinFileText(manifest)), 'books.json')).toEqual(manifest)
})
