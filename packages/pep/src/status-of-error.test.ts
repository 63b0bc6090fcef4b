import { ServiceError } from '@bailiwick/errors'
import { expect, it } from 'vitest'
import { statusOf } from './status-of-error.ts'

it.each([
  ['answer_withheld', 'unknown'],
  ['session_lost', 'unknown'],
  ['session_login_failed', 'not_executed'],
  ['invariant_broken', 'failed'],
] as const)('an effect that throws %s is reported as %s', (code, status) => {
  expect(statusOf(new ServiceError(code))).toEqual({ status })
})
