import { type DpopProof, generateKey, makeDpopProof, verifyDpopProof } from '@bailiwick/credentials'
import { seededRandom, testClock } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { AgentProofs, NonceNeeded, proofLeewayMs, proofMaxAgeMs } from './agent-proofs.ts'

const key = generateKey('agent')
const at = { htm: 'GET', htu: 'https://approval.example/access/v1/requests' }
let count = 0

function world(clock = testClock(1_800_000_000_000)) {
  const proofs = new AgentProofs(clock, seededRandom(++count))
  const made = ({ aheadMs = 0, nonce }: { aheadMs?: number; nonce?: string } = {}) =>
    makeDpopProof({ ...at, jti: `proof-${++count}`, now: clock.now() + aheadMs, nonce }, key)
  /** Does what approval does with a call: verifies the proof, then counts it. */
  const show = (proof: string, agent = 'a', by = proofs): string => {
    const clocked = { now: clock.now(), maxAgeMs: proofMaxAgeMs, leewayMs: proofLeewayMs }
    const verified = verifyDpopProof({ proof, ...at, ...clocked })
    if (!verified.ok) return verified.code
    try {
      by.count(verified.value, agent)
      return 'counted'
    } catch (error) {
      return error instanceof NonceNeeded ? `nonce ${error.nonce}` : (error as { code: string }).code
    }
  }
  return { clock, proofs, made, show }
}
const nonceIn = (said: string) => /^nonce (.+)$/.exec(said)?.[1] ?? expect.fail(said)

it('counts a proof once, over a restart and a takeover too, however far ahead its maker is (V10)', () => {
  const { clock, proofs, made, show } = world()
  proofs.begin(false)
  clock.advance(6001)
  const recorded = [0, 4999].map((aheadMs) => made({ aheadMs }))
  for (const proof of recorded) expect([show(proof), show(proof)]).toEqual(['counted', 'token_replayed'])
  const next = new AgentProofs(clock, seededRandom(++count))
  next.begin(false)
  for (const ms of [0, 1000, 5001, proofMaxAgeMs - 6001]) {
    clock.advance(ms)
    for (const proof of recorded) expect(show(proof, 'a', next)).toMatch(/^nonce /)
  }
})

it('lets an honest agent through with one more proof, and asks for none once no proof can be older (V10)', () => {
  const { clock, proofs, made, show } = world()
  proofs.begin(false)
  const nonce = nonceIn(show(made()))
  const again = made({ nonce })
  expect([show(again), show(again)]).toEqual(['counted', 'token_replayed'])
  clock.advance(6001)
  // A nonce of another server behind the same address is accepted too.
  expect([show(made()), show(made({ nonce: 'of-the-issuer' }))]).toEqual(['counted', 'counted'])
})

it('takes no nonce of another start, and no proof before it acts (V10)', () => {
  const { clock, proofs, made, show } = world()
  expect(show(made({ aheadMs: 4000 }))).toMatch(/^nonce /)
  const before = new AgentProofs(clock, seededRandom(++count))
  before.begin(false)
  const nonce = nonceIn(show(made(), 'a', before))
  proofs.begin(false)
  expect(show(made({ nonce }))).toMatch(/^nonce /)
})

it('takes no nonce of the time before another instance acted: that one may have counted the proof (V10)', () => {
  const { clock, proofs, made, show } = world()
  proofs.begin(false)
  const nonce = nonceIn(show(made()))
  const other = new AgentProofs(clock, seededRandom(++count))
  other.begin(false)
  clock.advance(6001)
  const proof = made({ nonce })
  expect(show(proof, 'a', other)).toBe('counted')
  proofs.begin(false)
  expect(show(proof)).toMatch(/^nonce /)
})

it('wants no nonce where no instance ran before', () => {
  const { proofs, made, show } = world()
  proofs.begin(true)
  const proof = made()
  expect([show(proof), show(proof)]).toEqual(['counted', 'token_replayed'])
})

it('forgets no proof of an agent for the many of another (V10, V18)', () => {
  const { proofs, made, show } = world()
  proofs.begin(true)
  const proof = made()
  expect(show(proof, 'quiet')).toBe('counted')
  const filler = (n: number) => ({ jkt: 'k'.repeat(43), jti: `${n}`, iat: Number.MAX_SAFE_INTEGER }) as DpopProof
  let full = 0
  for (let n = 0; n < 60_000; n++)
    try {
      proofs.count(filler(n), 'loud')
    } catch {
      full++
    }
  expect(full).toBe(10_000)
  expect(show(proof, 'quiet')).toBe('token_replayed')
})
