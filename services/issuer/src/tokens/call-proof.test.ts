import { generateKey, makeDpopProof } from '@bailiwick/credentials'
import { dpopNonces } from '@bailiwick/host'
import { ReplayMemory } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { countProof, type ProofJudge, readProof } from './call-proof.ts'
import { countAssertion } from './client-call.ts'

function judgeAt(start: number): ProofJudge & { at: number } {
  const clock = { now: () => judge.at, monotonic: () => judge.at }
  const nonces = dpopNonces(clock as never, (n) => new Uint8Array(n))
  const judge = { at: start, issuer: { clock: clock as never }, nonces, replay: new ReplayMemory() }
  return judge
}

it('counts a proof once, to the last millisecond of its life (V10)', () => {
  const judge = judgeAt(1_800_000_000_000)
  const htu = 'https://issuer.example/oauth/token'
  const made = { htm: 'POST', htu, jti: 'x', now: judge.at + 5000, nonce: judge.nonces.current() }
  const proof = makeDpopProof(made, generateKey('agent'))
  const first = readProof(judge, htu, proof)
  if (!first.ok) throw new Error(first.why)
  expect(countProof(judge, first.proof, 'agent')).toBe('new')
  judge.at += 70_000
  const last = readProof(judge, htu, proof)
  expect(last.ok && countProof(judge, last.proof, 'agent')).toBe('seen')
  judge.at += 1
  expect(readProof(judge, htu, proof).ok).toBe(false)
})

it('remembers an assertion for as long as it is taken, and a point may ask a hundred times a second', () => {
  const judge = judgeAt(0)
  const life = 60_000
  for (let n = 0; n < 30_000; n++, judge.at += 10) countAssertion(judge, 'pep-caller gateway', `${n}`, judge.at + life)
  const again = () => countAssertion(judge, 'pep-caller gateway', '29999', judge.at + life)
  expect(again).toThrow(/used before/)
  judge.at += life
  expect(again).not.toThrow()
})
