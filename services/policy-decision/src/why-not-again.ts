import type { DenialReason } from '@bailiwick/errors'
import type { CallingPoint } from './http/callers.ts'
import type { EvaluationRequest } from './http/evaluation-request.ts'
import type { Admission, Clocked, Judges, State } from './ports.ts'
import { again } from './steps/table.ts'

/**
 * Why an ALLOW that this instance gave is not repeated for this request, or undefined if it may be. It is not repeated to a caller
 * without the key, nor for anything that was revoked meanwhile (V7, V11). The same proof may come again: it was counted once.
 */
export async function whyNotAgain(
  ports: Clocked & State & Judges & Pick<Admission, 'decisionDeadlineMs'>,
  point: CallingPoint,
  request: EvaluationRequest,
): Promise<DenialReason | undefined> {
  const life = await again.takeWaiting({ point, request, withinMs: ports.decisionDeadlineMs }, ports)
  return life.refused
}
