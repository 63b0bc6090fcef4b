import { readFileSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { bailiwick } from '../io.fixture.ts'

const vectors = join(import.meta.dirname, '../../../../test/vectors/bundles')
const { vkey, root } = JSON.parse(readFileSync(join(vectors, 'keys.json'), 'utf8')) as { vkey: string; root: string }
const bundle = join(vectors, 'good.json')
const verify = (...more: string[]) => bailiwick(['verify', bundle, '--data', '/nonexistent', '--vkey', vkey, ...more])

const real = { fetch: globalThis.fetch, connect: Socket.prototype.connect }
let connections = 0
beforeEach(() => {
  connections = 0
  const refuse = () => {
    connections++
    throw new Error('a verifier makes no connection')
  }
  globalThis.fetch = refuse
  Socket.prototype.connect = refuse
})
afterEach(() => {
  globalThis.fetch = real.fetch
  Socket.prototype.connect = real.connect
  expect(connections).toBe(0)
})

it('proves a bundle from its file and two keys, in this process and without a connection (V3)', async () => {
  const { code, out, err } = await verify('--root', root)
  expect([code, err]).toEqual([0, ''])
  expect(out).toContain('proved. The story of ')
  expect(out).toContain('approved, with a passkey, exactly this')
  expect(out).toContain('which is the one that you trust')
})

it('says loudly that it had no root key to compare', async () => {
  const { code, out, err } = await verify('--json')
  expect([code, err]).toEqual([0, expect.stringContaining('THE ROOT KEY WAS NOT CHECKED')])
  expect(JSON.parse(out)).toMatchObject({ ok: true, root_checked: false, witnesses: [] })
})

it('ends with 1 and tells nothing of a bundle under another root key (V3)', async () => {
  const { code, out } = await verify('--root', 'A'.repeat(43))
  expect([code, out]).toEqual([1, `${bundle}: proves NOTHING (root_differs)`])
})
