import { expect, it } from 'vitest'
import { decodeBase64url, encodeBase64url } from './base64url.ts'
import { claimedPlace, delegationHash, delegationId, signDelegation, verifyDelegation } from './delegation.ts'
import { generateKey, type SigningKey } from './keys.ts'
import { agentId, delegationClaims, installation, keyFor } from './samples.test-data.ts'

const key = keyFor('agent')
const { grant } = delegationClaims
const sign = (change: object = {}, by: SigningKey<'agent'> = key) =>
  signDelegation({ ...delegationClaims, ...change }, by)
const verify = (delegation: string, change: object = {}) =>
  verifyDelegation({ delegation, delegator: { agent: agentId, jkt: key.kid }, grant, installation, ...change })

it('verifies only with the key that the credential of its maker confirms (V6)', () => {
  const other = generateKey('agent')
  expect(verify(sign())).toEqual({ ok: true, value: delegationClaims })
  expect(verify(sign({}, other))).toMatchObject({ ok: false, code: 'key_unknown' })
  expect(verify(sign(), { delegator: { agent: agentId, jkt: other.kid } })).toMatchObject({ ok: false })
  expect(verify(sign(), { delegator: { agent: delegationClaims.sub, jkt: key.kid } })).toMatchObject({ ok: false })
})

it('takes a key in its header that is the right one, and a signature by that very key (V6, V12)', () => {
  const other = generateKey('agent')
  const [header, payload] = sign().split('.')
  const signed = `${header}.${payload}`
  const forged = `${signed}.${encodeBase64url(other.sign(Buffer.from(signed)))}`
  expect(verify(forged)).toMatchObject({ ok: false, code: 'signature_invalid' })
  const edwards = generateKey('agent', 'EdDSA')
  expect(verify(sign({}, edwards), { delegator: { agent: agentId, jkt: edwards.kid } })).toMatchObject({ ok: true })
})

it('is of one installation and one grant', () => {
  expect(verify(sign(), { installation: 'ins_9999999999abcdef' })).toMatchObject({ code: 'token_audience_wrong' })
  expect(verify(sign(), { grant: `${grant}x` })).toMatchObject({ code: 'token_audience_wrong' })
})

it('never lives over 8 hours, and passes on one authority', () => {
  const details = delegationClaims.authorization_details
  const refused = expect.objectContaining({ code: 'invariant_broken' })
  expect(() => sign({ exp: delegationClaims.iat + 8 * 3600 + 1 })).toThrow(refused)
  expect(() => sign({ authorization_details: [...details, ...details] })).toThrow(refused)
  expect(() => sign({ resources: [] })).toThrow(refused)
})

it('has one name in every form of its signature: a revoked delegation has no second name (V7)', () => {
  const first = sign()
  const [header, payload, signature = ''] = first.split('.')
  const second = [header, payload, encodeBase64url(mirrored(decodeBase64url(signature) ?? new Uint8Array()))].join('.')
  expect(second).not.toBe(first)
  expect(verify(second)).toMatchObject({ ok: true })
  expect(delegationId(second)).toBe(delegationId(first))
  expect(delegationId(first)).toBe(`dlg_${delegationHash(first)}`)
  expect(delegationId(sign({ jti: 'another' }))).not.toBe(delegationId(first))
})

it('says where it claims to belong, for any input', () => {
  expect(claimedPlace(sign())).toEqual({ grant, parentHash: delegationClaims.parent_hash })
  for (const text of ['', 'a.b.c', 'x', `${encodeBase64url('{}')}.${encodeBase64url('[]')}.AAAA`]) {
    expect(claimedPlace(text)).toBeUndefined()
    expect(delegationId(text === '' || text === 'x' ? text : 'a.b')).toBeUndefined()
  }
})

/** The other of the two valid signatures: s replaced by the curve's order minus s. */
function mirrored(signature: Uint8Array): Uint8Array {
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
  const s = BigInt(`0x${Buffer.from(signature.subarray(32)).toString('hex')}`)
  return Buffer.concat([signature.subarray(0, 32), Buffer.from((order - s).toString(16).padStart(64, '0'), 'hex')])
}
