import { generateKey, signCallerAssertion } from '@bailiwick/credentials'
import { expect, it } from 'vitest'
import { Callers } from './callers.ts'

const key = generateKey('pep-caller')
const now = Date.parse('2026-11-24T12:00:00.000Z')
const instance = `${'I'.repeat(21)}A`
const publicUrl = 'http://localhost:8420'

function world() {
  const singles: string[] = []
  const point = { id: 'point', caller_jwk: { ...key.publicJwk } }
  const registry = { all: () => [], enforcementPoint: (id: string) => (id === point.id ? point : undefined) }
  const pdp = { clock: { now: () => now }, publicUrl, projection: { ledger: { registry } } }
  const callers = new Callers(pdp as never, (id) => singles.push(id))
  const call = (more: object) => {
    const iat = now / 1000
    const claims = { iss: 'point', sub: 'point', aud: publicUrl, iat, exp: iat + 60, jti: 'jti-0123456789abcdef' }
    const authorization = `Bearer ${signCallerAssertion({ ...claims, ...more }, key)}`
    return () => callers.authenticate({ authorization, confidential: true, address: '' })
  }
  return { call, singles }
}

it('knows which start of an enforcement point asks, also by an assertion that it remembers (V1, V10)', () => {
  const { call, singles } = world()
  const ask = call({ instance })
  for (let n = 0; n < 2; n++) expect(ask()).toMatchObject({ id: 'point', instance })
  const other = call({ instance: `${'J'.repeat(21)}A` })
  expect(other()).toMatchObject({ instance: `${'J'.repeat(21)}A` })
  expect(ask()).toMatchObject({ instance })
  expect(singles).toEqual([])
})

it('tells of a point that states none, which must be one process', () => {
  const { call, singles } = world()
  const ask = call({})
  for (let n = 0; n < 2; n++) expect(ask().instance).toBeUndefined()
  expect(singles).toEqual(['point', 'point'])
})
