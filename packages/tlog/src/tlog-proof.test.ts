import { expect, it } from 'vitest'
import { signCheckpoint } from './checkpoint.ts'
import { SIGNATURE_TYPE, SignerKey } from './keys.ts'
import { entryOf, naiveLog, path } from './naive-log.ts'
import { encodeTlogProof, openTlogProof, parseTlogProof, type TlogProof } from './tlog-proof.ts'

const log = new SignerKey('example.com/fancylog', new Uint8Array(32).fill(1), SIGNATURE_TYPE.ED25519)
const trust = { log: log.verifier }
const { leaves, head } = naiveLog(Array.from({ length: 21 }, (_, n) => entryOf(n)))
const checkpoint = signCheckpoint({ origin: log.verifier.name, extensions: [], ...head }, log)
const receipt: TlogProof = { index: 13, proof: path(13, leaves), checkpoint }
const text = encodeTlogProof(receipt)
const leaf = leaves[13] as Uint8Array

it('proves offline that the log holds the entry', () => {
  for (const [index, leafHash] of leaves.entries()) {
    const opened = openTlogProof(encodeTlogProof({ index, proof: path(index, leaves), checkpoint }), leafHash, trust)
    expect(opened).toMatchObject({ ok: true, index, checkpoint: { size: 21 } })
  }
})

it('reads back what it writes, extra data included', () => {
  expect(parseTlogProof(text)).toEqual(receipt)
  const extra = Buffer.from('anything\0')
  expect(parseTlogProof(encodeTlogProof({ ...receipt, extra }))).toEqual({ ...receipt, extra })
  expect(encodeTlogProof({ ...receipt, extra: new Uint8Array() })).toBe(text)
  expect(text).toBe(
    `c2sp.org/tlog-proof@v1\nindex 13\n${receipt.proof.map((h) => `${Buffer.from(h).toString('base64')}\n`).join('')}\n${checkpoint}`,
  )
})

it('proves the one entry of a log of one, without a hash', () => {
  const single = naiveLog([entryOf(0)])
  const one = signCheckpoint({ origin: log.verifier.name, extensions: [], ...single.head }, log)
  const short = encodeTlogProof({ index: 0, proof: [], checkpoint: one })
  expect(short).toBe(`c2sp.org/tlog-proof@v1\nindex 0\n\n${one}`)
  expect(openTlogProof(short, single.leaves[0] as Uint8Array, trust)).toMatchObject({ ok: true })
})

it('opens no receipt with any character changed, nor for another entry or log', () => {
  for (let at = 0; at < text.length; at++) {
    const changed = text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ 1) + text.slice(at + 1)
    expect(openTlogProof(changed, leaf, trust).ok).toBe(false)
  }
  expect(openTlogProof(text, leaves[12] as Uint8Array, trust)).toEqual({ ok: false, reason: 'inclusion_unproved' })
  const other = new SignerKey('example.com/fancylog', new Uint8Array(32).fill(2), SIGNATURE_TYPE.ED25519)
  expect(openTlogProof(text, leaf, { log: other.verifier })).toEqual({ ok: false, reason: 'signature_missing' })
})

it.each([
  ['nothing', ''],
  ['another header', text.replace('@v1', '@v2')],
  ['no index', text.replace('index 13\n', '')],
  ['a leading zero', text.replace('index 13', 'index 013')],
  ['a negative index', text.replace('index 13', 'index -13')],
  ['an index beyond 2^53', text.replace('index 13', 'index 9007199254740992')],
  ['extra data behind the index', text.replace('index 13\n', 'index 13\nextra AAAA\n')],
  ['extra data twice', text.replace('index', 'extra AAAA\nextra AAAA\nindex')],
  ['empty extra data', text.replace('index', 'extra \nindex')],
  ['extra data that is not base64', text.replace('index', 'extra ???\nindex')],
  ['a short hash', text.replace('index 13\n', 'index 13\nAAAA\n')],
  ['no checkpoint', text.slice(0, text.indexOf('\n\n') + 2)],
  ['carriage returns', text.replaceAll('\n', '\r\n')],
])('refuses a receipt with %s', (_, malformed) => {
  expect(parseTlogProof(malformed)).toBeUndefined()
  expect(openTlogProof(malformed, leaf, trust)).toEqual({ ok: false, reason: 'proof_malformed' })
})

it('refuses to write what would not read back', () => {
  expect(() => encodeTlogProof({ ...receipt, index: -1 })).toThrow(RangeError)
  expect(() => encodeTlogProof({ ...receipt, proof: [new Uint8Array(31)] })).toThrow(RangeError)
  expect(() => encodeTlogProof({ ...receipt, checkpoint: 'not a note' })).toThrow(RangeError)
})
