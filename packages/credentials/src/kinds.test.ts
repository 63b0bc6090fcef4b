import { describe, expect, it } from 'vitest'
import { type KeyPurpose, publicKeyOf } from './keys.ts'
import { type Kind, kinds } from './kinds.ts'
import { forge, keyFor, sampleOf, samples } from './samples.test-data.ts'

const allKinds = Object.keys(kinds) as Kind[]
const pairs = allKinds.flatMap((made) =>
  allKinds.filter((taken) => taken !== made).map((taken) => [made, taken] as const),
)
// Written out a second time, so that a mistake in the table under test does not empty the matrix below.
const signers: Record<Kind, readonly KeyPurpose[]> = {
  event: ['issuer-event', 'approval-event', 'pdp-event', 'evidence-event'],
  serviceKey: ['root'],
  genesis: ['root'],
  invitation: ['invitation'],
  accessRequest: ['agent'],
  clientAssertion: ['agent', 'pep-caller', 'auditor'],
  dpopProof: ['agent'],
  delegation: ['agent'],
  accessToken: ['credential'],
  callerAssertion: ['pep-caller'],
  continuation: ['pep-caller'],
  outcome: ['outcome'],
  permit: ['permit'],
  bindingToken: ['binding-token'],
  notification: ['notification'],
}
const keyPurposes = [...new Set(Object.values(signers).flat())]
const foreignPurposes = allKinds.flatMap((kind) =>
  keyPurposes.filter((purpose) => !signers[kind].includes(purpose)).map((purpose) => [kind, purpose] as const),
)
// These carry their own key, which has no record and so cannot have a wrong purpose.
const withRecord = foreignPurposes.filter(([kind]) => kind !== 'dpopProof' && kind !== 'delegation')

it('has a sample of every kind, each of which its own verifier takes', () => {
  expect(samples.map((s) => s.kind).sort()).toEqual([...allKinds].sort())
  for (const sample of samples) expect(sample.verify(sample.sign()), sample.kind).toMatchObject({ ok: true })
})

it('gives no two kinds the same typ (V12)', () => {
  expect(new Set(allKinds.map((kind) => kinds[kind].typ)).size).toBe(allKinds.length)
})

describe('with one private key in every role', () => {
  it.each(pairs)('%s never passes for %s (V12)', (made, taken) => {
    expect(sampleOf(taken).verify(sampleOf(made).sign())).toMatchObject({ ok: false })
  })

  it.each(pairs)('the type %s over the claims of %s is refused (V12)', (made, taken) => {
    const { header, claims, verify } = sampleOf(taken)
    expect(verify(forge(header, claims))).toMatchObject({ ok: true })
    const refusal = { ok: false, code: 'token_malformed', detail: `${taken}: typ` }
    expect(verify(forge({ ...header, typ: kinds[made].typ }, claims))).toEqual(refusal)
  })

  it.each(withRecord)('%s is not verified by a key for %s (V12)', (kind, purpose) => {
    const { verify, sign } = sampleOf(kind)
    expect(verify(sign(), { key: publicKeyOf(keyFor(purpose)) })).toMatchObject({
      ok: false,
      code: 'key_purpose_wrong',
    })
  })

  it.each(foreignPurposes)('%s is not signed by a key for %s (V12)', (kind, purpose) => {
    expect(() => sampleOf(kind).sign(keyFor(purpose))).toThrow(expect.objectContaining({ code: 'invariant_broken' }))
  })
})
