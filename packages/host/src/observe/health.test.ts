import { expect, it } from 'vitest'
import { Health } from './health.ts'

it('is well when nothing says otherwise', () => {
  const health = new Health()
  expect([health.liveness(), health.readiness()]).toEqual([{}, {}])
  health.check('bus', () => undefined)
  expect([health.liveness(), health.readiness()]).toEqual([{}, {}])
})

it('names what is not ready, without asking for a restart', () => {
  const health = new Health()
  let behind: string | undefined = '3 s behind'
  const remove = health.check('projection', () => behind)
  expect(health.readiness()).toEqual({ projection: '3 s behind' })
  expect(health.liveness()).toEqual({})
  behind = undefined
  expect(health.readiness()).toEqual({})
  behind = 'again'
  remove()
  expect(health.readiness()).toEqual({})
})

it('is neither live nor ready when a check of liveness fails', () => {
  const health = new Health()
  health.check('bus', () => 'follower failed', { liveness: true })
  expect([health.liveness(), health.readiness()]).toEqual([{ bus: 'follower failed' }, { bus: 'follower failed' }])
})

it('takes a check that throws for one that fails, and does not show the error (V13)', () => {
  const health = new Health()
  health.check('bus', () => {
    throw new Error('secret')
  })
  expect(health.readiness()).toEqual({ bus: 'the check failed' })
})

it('is not ready once it stops, and still live', () => {
  const health = new Health()
  health.stopping()
  expect([health.liveness(), health.readiness()]).toEqual([{}, { process: 'stopping' }])
})

it('does not let a second check replace the first', () => {
  const health = new Health()
  health.check('bus', () => 'down')
  expect(() => health.check('bus', () => undefined)).toThrow(RangeError)
  expect(health.readiness()).toEqual({ bus: 'down' })
})
