import type { SpendView } from '@bailiwick/projection'
import type { Proved } from './proof.ts'
import { refuse, type Verdict } from './steps.ts'

/** The call id counts once in its tree, wherever it was decided (V10). */
export function callUnused({ callId, view }: { callId: string; view: SpendView }): Verdict {
  const earlier = view.byCall.get(callId)
  if (earlier === undefined) return undefined
  return refuse(view.allows.get(earlier)?.standing === 'abandoned' ? 'call_abandoned' : 'call_elsewhere')
}

/** Another instance may have counted this proof while the grant store was away. The log shows it (V10). */
export function proofUnused({ proofId, view }: Pick<Proved, 'proofId'> & { view: SpendView }): Verdict {
  return view.byProof.has(proofId) ? refuse('proof_replayed') : undefined
}

/** A caller that has gone gets no answer, so the reservation of its call is given back. */
export function callerWaits({ isGone }: { isGone: () => boolean }): Verdict {
  return isGone() ? refuse('deadline_exceeded') : undefined
}
