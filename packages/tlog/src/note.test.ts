import { inspect } from 'node:util'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { encodeVkey, isKeyName, parseSkey, parseVkey, SIGNATURE_TYPE, SignerKey, verifierKey } from './keys.ts'
import { addSignatures, encodeNote, parseNote, signNote } from './note.ts'
import { openNote } from './open-note.ts'

/** The example of golang.org/x/mod/sumdb/note, which every implementation of signed notes can open. */
const PETER_VKEY = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW'
const PETER_SKEY = 'PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz'
const PETER_TEXT =
  "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
const PETER_NOTE = `${PETER_TEXT}
— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
`
/** The example of C2SP signed-note. */
const C2SP_VKEY = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k'
const C2SP_NOTE = `This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
`

const vkey = (text: string) => {
  const key = parseVkey(text)
  if (key === undefined) throw new Error('not a vkey')
  return key
}
const signer = (name: string, fill: number) =>
  new SignerKey(name, new Uint8Array(32).fill(fill), SIGNATURE_TYPE.ED25519)
const alice = signer('alice.example/log', 1)
const bob = signer('bob.example', 2)

it.each([
  [PETER_VKEY, PETER_NOTE],
  [C2SP_VKEY, C2SP_NOTE],
])('opens the published note of %s', (text, note) => {
  const key = vkey(text)
  const opened = openNote(note, [key])
  expect(opened).toEqual({ ok: true, text: note.slice(0, note.indexOf('\n\n') + 1), signers: [{ key }] })
  expect(openNote(Buffer.from(note), [key])).toEqual(opened)
  expect(encodeVkey(key)).toBe(text)
})

it('signs the very bytes that Go signs with the same key', () => {
  const key = parseSkey(PETER_SKEY) as SignerKey
  expect(signNote(PETER_TEXT, key)).toBe(PETER_NOTE)
  expect(encodeVkey(key.verifier)).toBe(PETER_VKEY)
  expect(key.toSkey()).toBe(PETER_SKEY)
})

it('refuses every vkey and skey with a piece cut off or a character changed', () => {
  for (const [text, parse] of [
    [PETER_VKEY, parseVkey],
    [PETER_SKEY, parseSkey],
  ] as const) {
    for (let begin = 0; begin <= text.length; begin++) {
      for (let end = begin + 1; end <= text.length; end++) {
        if (end - begin < text.length) expect(parse(text.slice(begin, end))).toBeUndefined()
      }
    }
    for (let at = 0; at < text.length; at++) {
      const next = String.fromCharCode(text.charCodeAt(at) + 1)
      expect(parse(text.slice(0, at) + next + text.slice(at + 1))).toBeUndefined()
    }
    expect(parse(`${text}\n`)).toBeUndefined()
    expect(parse(text.replace('c74f20a3', 'C74F20A3'))).toBeUndefined()
  }
  // With a recomputed key id, but an unknown type; and with a key of another length.
  expect(parseVkey('PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW')).toBeUndefined()
  expect(parseVkey('PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==')).toBeUndefined()
})

it('never takes a key of one type for the other (V12)', () => {
  const cosigner = verifierKey(alice.verifier.name, alice.verifier.publicKey, SIGNATURE_TYPE.COSIGNATURE)
  const note = signNote('text\n', alice)
  expect(cosigner.keyId).not.toBe(alice.verifier.keyId)
  expect(openNote(note, [cosigner])).toEqual({ ok: false, reason: 'signature_missing' })
  // Refused even with the other key's id, as in a careless configuration.
  expect(openNote(note, [{ ...cosigner, keyId: alice.verifier.keyId }])).toMatchObject({ ok: false })
  expect(() => signNote('text\n', new SignerKey('w', new Uint8Array(32), SIGNATURE_TYPE.COSIGNATURE))).toThrow(
    RangeError,
  )
})

it('ignores signers that it does not know, also those that share a name or an id with one it does', () => {
  const namesake = signer(alice.verifier.name, 3)
  const sameId = { name: 'mallory.example', keyId: alice.verifier.keyId, signature: new Uint8Array(64) }
  const note = addSignatures(signNote('text\n', namesake, bob, alice), sameId)
  expect(openNote(note, [alice.verifier])).toEqual({ ok: true, text: 'text\n', signers: [{ key: alice.verifier }] })
  expect(openNote(note, [bob.verifier, alice.verifier])).toMatchObject({ ok: true, signers: { length: 2 } })
  expect(openNote(note, [signer('carol.example', 4).verifier])).toEqual({ ok: false, reason: 'signature_missing' })
  expect(openNote(note, [])).toEqual({ ok: false, reason: 'signature_missing' })
})

it('rejects the whole note when one known key did not sign it, even if others did', () => {
  const { name, keyId } = bob.verifier
  const forged = addSignatures(signNote('text\n', alice), { name, keyId, signature: new Uint8Array(64).fill(7) })
  expect(openNote(forged, [alice.verifier, bob.verifier])).toEqual({ ok: false, reason: 'signature_invalid' })
  expect(openNote(forged, [alice.verifier])).toMatchObject({ ok: true })
  const short = addSignatures(signNote('text\n', alice), { name, keyId, signature: new Uint8Array(1) })
  expect(openNote(short, [alice.verifier, bob.verifier])).toEqual({ ok: false, reason: 'signature_invalid' })
})

it('counts a key once, however often it signed', () => {
  const note = signNote('text\n', alice, alice, alice)
  expect(openNote(note, [alice.verifier])).toMatchObject({ ok: true, signers: { length: 1 } })
})

it('opens no note with any bit changed, except in lines of unknown signers', () => {
  const note = Buffer.from(signNote('è subito sera\n\nsecond part\n', alice))
  for (let bit = 0; bit < note.length * 8; bit++) {
    const changed = Buffer.from(note)
    changed[Math.floor(bit / 8)] = (note[Math.floor(bit / 8)] as number) ^ (1 << (bit % 8))
    expect(openNote(changed, [alice.verifier]).ok).toBe(false)
  }
  for (let length = 0; length < note.length; length++) {
    expect(openNote(note.subarray(0, length), [alice.verifier]).ok).toBe(false)
  }
})

it('separates the text at the last empty line', () => {
  for (const text of ['a\n', '\n', '\n\n\n', 'a\n\nb\n', 'a\n\n', '— alice AAAAAAA=\n\n— x\n']) {
    const note = signNote(text, alice)
    expect(parseNote(note)?.text).toBe(text)
    expect(openNote(note, [alice.verifier])).toMatchObject({ ok: true, text })
  }
})

it('reads back what it writes', () => {
  const text = fc.string({ unit: 'grapheme' }).map((part) => `${part}\n`)
  fc.assert(
    fc.property(
      text,
      fc.uint8Array({ minLength: 1, maxLength: 100 }),
      fc.nat(2 ** 32 - 1),
      (body, signature, keyId) => {
        const note = { text: body, signatures: [{ name: 'a/b', keyId, signature: Buffer.from(signature) }] }
        expect(parseNote(encodeNote(note))).toEqual(note)
      },
    ),
  )
})

const SIGNATURE = 'AAAAAAA=' // four bytes of key id and one of signature
it.each([
  ['nothing', ''],
  ['no signature', 'a\n\n'],
  ['no blank line', `a\n— n ${SIGNATURE}\n`],
  ['no text', `\n— n ${SIGNATURE}\n`],
  ['no last newline', `a\n\n— n ${SIGNATURE}`],
  ['a hyphen for the dash', `a\n\n- n ${SIGNATURE}\n`],
  ['a name without signature', 'a\n\n— n\n'],
  ['two spaces', `a\n\n— n  ${SIGNATURE}\n`],
  ['a trailing space', `a\n\n— n ${SIGNATURE} \n`],
  ['an empty name', `a\n\n—  ${SIGNATURE}\n`],
  ['a plus in a name', `a\n\n— n+m ${SIGNATURE}\n`],
  ['a no-break space in a name', `a\n\n— n\u00a0m ${SIGNATURE}\n`],
  ['U+0085 in a name', `a\n\n— n\u0085m ${SIGNATURE}\n`],
  ['a key id alone', 'a\n\n— n AAAAAA==\n'],
  ['base64 without padding', 'a\n\n— n AAAAAAA\n'],
  ['base64 with unused bits set', 'a\n\n— n AAAAAAB=\n'],
  ['base64 of the URL alphabet', 'a\n\n— n AAAAAA_-\n'],
  ['a carriage return', `a\r\n\n— n ${SIGNATURE}\n`],
  ['a tab', `a\tb\n\n— n ${SIGNATURE}\n`],
  ['a NUL', `a\0\n\n— n ${SIGNATURE}\n`],
  ['a lone surrogate', `a\ud800\n\n— n ${SIGNATURE}\n`],
  ['text behind the signatures', `a\n\n— n ${SIGNATURE}\nb\n`],
  ['101 signatures', `a\n\n${`— n ${SIGNATURE}\n`.repeat(101)}`],
  ['a million characters', `${'a'.repeat(1_000_000)}\n\n— n ${SIGNATURE}\n`],
])('refuses a note with %s', (_, note) => {
  expect(parseNote(note)).toBeUndefined()
  expect(openNote(note, [alice.verifier])).toEqual({ ok: false, reason: 'note_malformed' })
})

it('refuses what is not UTF-8', () => {
  const note = Buffer.from(signNote('a\n', alice))
  for (const bytes of [[0xc0, 0xaf], [0xff], [0xed, 0xa0, 0x80], [0xe2, 0x82]]) {
    expect(parseNote(Buffer.concat([Buffer.from(bytes), note]))).toBeUndefined()
  }
})

it('takes 100 signatures, and a byte order mark as the text that it is', () => {
  expect(parseNote(`a\n\n${`— n ${SIGNATURE}\n`.repeat(100)}`)?.signatures).toHaveLength(100)
  const note = signNote('\ufeffa\n', alice)
  expect(openNote(Buffer.from(note), [alice.verifier])).toMatchObject({ ok: true, text: '\ufeffa\n' })
})

it('refuses to sign what no verifier would take', () => {
  for (const text of ['', 'a', 'a\r\n', 'a\0\n', '\ud800\n']) expect(() => signNote(text, alice)).toThrow(RangeError)
  expect(() => signNote('a\n')).toThrow(RangeError)
  expect(() => addSignatures('not a note')).toThrow(RangeError)
  const injected = { name: `n ${SIGNATURE}\n— m`, keyId: 0, signature: new Uint8Array(64) }
  expect(() => addSignatures(signNote('a\n', alice), injected)).toThrow(RangeError)
  for (const name of ['', 'a b', 'a+b', 'a\nb', 'a\0b', '\u2003', '\ud800']) {
    expect(isKeyName(name)).toBe(false)
    expect(() => signer(name, 1)).toThrow(RangeError)
  }
  expect(() => new SignerKey('a', new Uint8Array(31), SIGNATURE_TYPE.ED25519)).toThrow(RangeError)
  expect(() => verifierKey('a', new Uint8Array(33), SIGNATURE_TYPE.ED25519)).toThrow(RangeError)
})

it('shows nothing of a private key when it is printed or serialised (V17)', () => {
  const seed = Buffer.alloc(32, 'S3CRET-s')
  const key = new SignerKey('alice', seed, SIGNATURE_TYPE.ED25519)
  const shown = inspect(key, { depth: 10, showHidden: true }) + JSON.stringify(key) + String(key)
  for (const encoding of ['hex', 'base64', 'base64url', 'utf8'] as const) {
    expect(shown).not.toContain(seed.toString(encoding).slice(0, 16))
  }
  expect(shown).not.toContain(inspect(seed).slice(8, 40))
  expect(key.toSkey()).toContain(`+${Buffer.concat([Buffer.of(1), seed]).toString('base64')}`)
})
