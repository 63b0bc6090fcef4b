import { generateKey } from '@bailiwick/credentials'
import { expect, it } from 'vitest'
import { aCall, aPoint, certify, FakePdp } from './pdp.fixture.ts'

it('finds the key that signs among a year of keys that were prepared, each with its certificate', async () => {
  await using pdp = await FakePdp.start()
  const prepared = Array.from({ length: 365 }, () => generateKey('permit'))
  const entry = (key: typeof pdp.permitKey) => ({
    ...key.publicJwk,
    kid: key.kid,
    alg: key.alg,
    use: 'sig',
    certificate: certify(key),
  })
  pdp.jwks = () => ({ keys: [...prepared, pdp.permitKey].map(entry) })
  await using point = await aPoint(pdp)
  expect(await point.guard(aCall(), async () => 'done')).toMatchObject({ allowed: true, result: 'done' })
})
