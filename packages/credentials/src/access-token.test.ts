import { decisionDenied, mostBetween } from '@bailiwick/contracts'
import { expect, it } from 'vitest'
import { type Actor, verifyAccessToken } from './access-token.ts'
import { publicKeyOf } from './keys.ts'
import { accessTokenClaims, agentId, clocked, forge, issuer, keyFor, sampleOf } from './samples.test-data.ts'

const chainOf = (length: number): Actor =>
  Array.from({ length }, (_, n) => `${agentId}/${n}`).reduce<Actor | undefined>(
    (act, sub) => (act ? { sub, act } : { sub }),
    undefined,
  ) as Actor

it('refuses a signed credential whose chain is so long that its denial would not fit into an event (V6)', () => {
  const { header } = sampleOf('accessToken')
  const verify = (actors: number) => {
    const claims = { ...accessTokenClaims, act: chainOf(actors) }
    const token = forge(header, claims)
    return verifyAccessToken({
      token,
      key: publicKeyOf(keyFor('credential')),
      issuer,
      audience: 'https://api.example',
      ...clocked,
    })
  }
  expect(verify(mostBetween + 1).ok).toBe(true)
  expect(verify(mostBetween + 2)).toMatchObject({ ok: false, code: 'token_malformed' })
  expect(decisionDenied.shape.between.safeParse(Array(mostBetween).fill(agentId)).success).toBe(true)
})
