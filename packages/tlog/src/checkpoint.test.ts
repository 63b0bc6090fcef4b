import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type Checkpoint, encodeCheckpoint, openCheckpoint, parseCheckpoint, signCheckpoint } from './checkpoint.ts'
import { cosign, cosignedMessage, decodeCosignature, isCosignedBy } from './cosignature.ts'
import { parseVkey, SIGNATURE_TYPE, SignerKey, type VerifierKey } from './keys.ts'
import { addSignatures, parseNote, signNote } from './note.ts'
import { openNote } from './open-note.ts'

const seed = (fill: number) => new Uint8Array(32).fill(fill)
const log = new SignerKey('example.com/log', seed(1), SIGNATURE_TYPE.ED25519)
const witness = new SignerKey('witness.example/w1', seed(2), SIGNATURE_TYPE.COSIGNATURE)
const checkpoint: Checkpoint = { origin: 'example.com/log', size: 42, root: Buffer.alloc(32, 9), extensions: [] }
const text = encodeCheckpoint(checkpoint)
const signed = signCheckpoint(checkpoint, log)

/** A checkpoint of a public Certificate Transparency log, with cosignatures of public witnesses. */
const ARCHE_NOTE = `arche2025h1.staging.ct.transparency.dev
1432088532
U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=

— arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=
— arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=
— transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzwZ2rhIgcqoXHAwVkjZr4AscylP3v7sEodkRAErumC2q44vdgJY096st5BQ==
— witness1.smartit.nu/witness1 pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TOQtmJbqmNWVuE0tgh0XwzdZsDsUAQ==
— remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==
— witness.stagemole.eu Z/euoAAAAABqEiEgw0i+7g2ENfDAWHmtRzCfKTHSDwYDJA2NmKeGi9Y8FtEyOUvVr+AJmIY/2TUFucgKi7lI7cUiOvKFYe/TmN9DAg==
`
const ARCHE = 'arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f'
const WITNESSES = [
  'transparency.dev/DEV:witness-little-garden+d8042a87+BCtusOxINQNUTN5Oj8HObRkh2yHf/MwYaGX4CPdiVEPM',
  'witness1.smartit.nu/witness1+a48c820f+BPSFWg9G6KPiO7QPryYO5Xq4oYJJ+kAvLKLSimDhoxMO',
  'remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2',
  'witness.stagemole.eu+67f7aea0+BEqSG3yu9YrmcM3BHvQYTxwFj3uSWakQepafafpUqklv',
]

it('opens a checkpoint of a public log, with the cosignatures of four public witnesses', () => {
  const witnesses = WITNESSES.map((vkey) => parseVkey(vkey) as VerifierKey)
  const opened = openCheckpoint(ARCHE_NOTE, { log: parseVkey(ARCHE) as VerifierKey, witnesses })
  expect(opened).toMatchObject({ ok: true, checkpoint: { size: 1_432_088_532, extensions: [] } })
  expect(opened).toMatchObject({ witnesses: witnesses.map((key) => ({ key, timestamp: 1_779_573_024 })) })
  expect(openCheckpoint(ARCHE_NOTE.replace('1432088532', '1432088533'), { log: witnesses[0] as VerifierKey }).ok).toBe(
    false,
  )
})

it('reads back every checkpoint that it writes', () => {
  const line = fc.string({ unit: 'grapheme', minLength: 1 })
  const someCheckpoint = fc.record({
    origin: line,
    size: fc.maxSafeNat(),
    root: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((root) => Buffer.from(root)),
    extensions: fc.array(line, { maxLength: 3 }),
  })
  fc.assert(
    fc.property(someCheckpoint, (some) => {
      expect(parseCheckpoint(encodeCheckpoint(some))).toEqual({ ...some })
    }),
  )
})

const ROOT = 'CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I='
it.each([
  ['nothing', ''],
  ['no origin', `\n1\n${ROOT}\n`],
  ['no root', 'o\n1\n'],
  ['no last newline', `o\n1\n${ROOT}`],
  ['an extension line without its newline', `o\n1\n${ROOT}\nmore`],
  ['an empty extension line', `o\n1\n${ROOT}\n\n`],
  ['a leading zero', `o\n01\n${ROOT}\n`],
  ['two zeros', `o\n00\n${ROOT}\n`],
  ['a sign', `o\n+1\n${ROOT}\n`],
  ['a negative size', `o\n-1\n${ROOT}\n`],
  ['a hexadecimal size', `o\n0x1\n${ROOT}\n`],
  ['a fraction', `o\n1.0\n${ROOT}\n`],
  ['a space', `o\n1 \n${ROOT}\n`],
  ['an exponent', `o\n1e3\n${ROOT}\n`],
  ['other digits', `o\n١\n${ROOT}\n`],
  ['2^53', `o\n9007199254740992\n${ROOT}\n`],
  ['a short root', 'o\n1\nAAAA\n'],
  ['a root without padding', `o\n1\n${ROOT.slice(0, -1)}\n`],
  ['a root with unused bits set', `o\n1\n${ROOT.replace('2I=', '2J=')}\n`],
])('refuses a checkpoint with %s', (_, malformed) => {
  expect(parseCheckpoint(malformed)).toBeUndefined()
  expect(openCheckpoint(signNote('x\n', log), { log: log.verifier })).toEqual({
    ok: false,
    reason: 'checkpoint_malformed',
  })
})

it('refuses to write what would read back as another checkpoint', () => {
  const wrong: Partial<Checkpoint>[] = [
    { origin: '' },
    { origin: 'a\nb' },
    { size: -1 },
    { size: 0.5 },
    { size: 2 ** 53 },
    { root: Buffer.alloc(31) },
    { extensions: [''] },
    { extensions: ['a\nb'] },
  ]
  for (const change of wrong) expect(() => encodeCheckpoint({ ...checkpoint, ...change })).toThrow(RangeError)
})

it('keeps extension lines', () => {
  const extended = { ...checkpoint, extensions: ['one', 'two three'] }
  const opened = openCheckpoint(signCheckpoint(extended, log), { log: log.verifier })
  expect(opened).toEqual({ ok: true, checkpoint: extended, witnesses: [] })
})

it('opens only what the log itself signed, for its own origin', () => {
  const trust = { log: log.verifier, witnesses: [witness.verifier] }
  const cosigned = addSignatures(signed, cosign(text, witness, 1_700_000_000))
  expect(openCheckpoint(signed, trust)).toEqual({ ok: true, checkpoint, witnesses: [] })
  expect(openCheckpoint(cosigned, trust)).toEqual({
    ok: true,
    checkpoint,
    witnesses: [{ key: witness.verifier, timestamp: 1_700_000_000 }],
  })

  const [, byWitness] = parseNote(cosigned)?.signatures ?? []
  const witnessOnly = addSignatures(
    signNote(text, new SignerKey('x', seed(9), SIGNATURE_TYPE.ED25519)),
    byWitness as never,
  )
  expect(openCheckpoint(witnessOnly, trust)).toEqual({ ok: false, reason: 'signature_missing' })
  expect(openCheckpoint(witnessOnly, { log: witness.verifier })).toEqual({ ok: false, reason: 'signature_missing' })

  const other = signCheckpoint({ ...checkpoint, origin: 'example.com/other' }, log)
  expect(openCheckpoint(other, trust)).toEqual({ ok: false, reason: 'origin_unexpected' })
  expect(openCheckpoint(other, { ...trust, origin: 'example.com/other' })).toMatchObject({ ok: true })
})

it('refuses a cosignature of another time, text, key or type (V12)', () => {
  const { signature } = cosign(text, witness, 1_700_000_000)
  const cosignature = decodeCosignature(signature)
  if (cosignature === undefined) throw new Error('not a cosignature')
  expect(cosignature.timestamp).toBe(1_700_000_000)
  expect(isCosignedBy(text, cosignature, witness.verifier)).toBe(true)
  expect(isCosignedBy(text, { ...cosignature, timestamp: 1_700_000_001 }, witness.verifier)).toBe(false)
  expect(isCosignedBy(encodeCheckpoint({ ...checkpoint, size: 43 }), cosignature, witness.verifier)).toBe(false)
  expect(isCosignedBy(text, cosignature, log.verifier)).toBe(false)
  expect(isCosignedBy(text, cosignature, { ...witness.verifier, type: SIGNATURE_TYPE.ED25519 })).toBe(false)
  const overNothing = { timestamp: 1, signature: witness.signRaw(cosignedMessage('hello\n', 1)) }
  expect(isCosignedBy('hello\n', overNothing, witness.verifier)).toBe(false)
  // The same secret as a note key: its signature over the cosigned message must not count as a cosignature.
  const asNoteKey = new SignerKey('witness.example/w1', seed(2), SIGNATURE_TYPE.ED25519)
  expect(openNote(addSignatures(signed, cosign(text, witness, 0)), [asNoteKey.verifier]).ok).toBe(false)
})

it('signs the message of tlog-cosignature, for checkpoints only', () => {
  expect(Buffer.from(cosignedMessage(text, 1_679_315_147)).toString()).toBe(
    `cosignature/v1\ntime 1679315147\nexample.com/log\n42\n${Buffer.alloc(32, 9).toString('base64')}\n`,
  )
  expect(() => cosign('hello\n', witness, 0)).toThrow(RangeError)
  expect(() => cosign(text, log, 0)).toThrow(RangeError)
  for (const time of [-1, 0.5, 2 ** 53, Number.NaN]) expect(() => cosign(text, witness, time)).toThrow(RangeError)
})

it('refuses a timestamped signature of another length, or of a time no clock will show', () => {
  const { signature } = cosign(text, witness, 1)
  expect(decodeCosignature(signature.subarray(1))).toBeUndefined()
  expect(decodeCosignature(Buffer.concat([signature, Buffer.of(0)]))).toBeUndefined()
  const far = Buffer.from(signature)
  far.writeBigUInt64BE(2n ** 63n)
  expect(decodeCosignature(far)).toBeUndefined()
})
