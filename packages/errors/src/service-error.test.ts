import { expect, it } from 'vitest'
import { denialReasons, errorKinds, ServiceError, toProblem } from './index.ts'

it('tells the detail of our own errors and never their cause (V17)', () => {
  const problem = toProblem(new ServiceError('grant_unknown', 'grt_1', { cause: new Error('secret') }))
  expect(problem).toEqual({
    type: 'urn:bailiwick:error:grant_unknown',
    title: 'There is no such grant',
    status: 404,
    code: 'grant_unknown',
    retryable: false,
    detail: 'grt_1',
  })
})

it('turns what is not ours into internal, without detail (V17)', () => {
  for (const thrown of [new Error('secret'), { code: 'ENOENT', detail: 'secret' }, 'secret', undefined, null]) {
    expect(toProblem(thrown)).toEqual({
      type: 'urn:bailiwick:error:internal',
      title: 'Something went wrong inside',
      status: 500,
      code: 'internal',
      retryable: false,
    })
  }
})

it('has stable snake_case codes', () => {
  for (const code of [...Object.keys(errorKinds), ...Object.keys(denialReasons)]) {
    expect(code).toMatch(/^[a-z]+(_[a-z]+)*$/)
  }
})
