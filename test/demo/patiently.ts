import { setTimeout as pause } from 'node:timers/promises'
import { errorCode, errorKinds, isDenialReason, retrySecondsOf } from '@bailiwick/errors'

/** A busy machine is not a failure: the story repeats retryable steps for this long. */
const patienceMs = 120_000
const betweenMs = 250

/** Repeats `run` while `again` is true of its result; returns the last result when patience runs out. */
export async function repeating<T>(
  again: (result: T) => boolean | Promise<boolean>,
  run: () => Promise<T>,
): Promise<T> {
  for (const end = performance.now() + patienceMs; ; await pause(betweenMs)) {
    const result = await run()
    if (performance.now() > end || !(await again(result))) return result
  }
}

/** Repeats `run` while it throws an error that docs/reference/errors.md calls retryable; throws any other one, and the last one. */
export async function patiently<T>(run: () => Promise<T>): Promise<T> {
  const settled = () =>
    run().then(
      (value) => ({ ok: true as const, value }),
      (error: unknown) => ({ ok: false as const, error }),
    )
  const last = await repeating((one) => !one.ok && errorKinds[errorCode(one.error)].retryable, settled)
  if (!last.ok) throw last.error
  return last.value
}

/** Repeats a guarded call while its refusal says when to try again: a refused call had no effect. */
export function patientCall(call: () => Promise<Response>): Promise<Response> {
  return repeating(async (response) => {
    if (response.status === 200) return false
    const { retry_after } = (await response.clone().json()) as { retry_after?: number }
    return retry_after !== undefined
  }, call)
}

/** Whether an answer has a code after which the same call may go well later. */
export const isPassing = (said: string): boolean =>
  (said.match(/\b[a-z]+(_[a-z]+)+\b/g) ?? []).some(
    (code) =>
      (isDenialReason(code) && retrySecondsOf(code) !== undefined) ||
      (Object.hasOwn(errorKinds, code) && errorKinds[code as keyof typeof errorKinds].retryable),
  )
