import type { Approver } from '@bailiwick/testkit'
import type { Ended } from '../judges/programs.ts'
import { must } from './must.ts'
import { patiently, repeating } from './patiently.ts'

/** A command that proposes a change of the registry runs until the person at the console has approved it. */
export async function approvedChange(approver: Approver, running: Promise<Ended>): Promise<Ended> {
  let hasEnded = false
  const noted = () => {
    hasEnded = true
  }
  running.then(noted, noted)
  const change = () => patiently(async () => (await approver.state()).changes[0]?.id)
  const id = await repeating((found) => found === undefined && !hasEnded, change)
  if (id !== undefined) await patiently(() => approver.approve(id))
  const ended = await running
  must(ended.code === 0, `the command ended with ${ended.code}: ${ended.out}${ended.err}`)
  return ended
}

/** The person finds the one request that waits, lowers its budget, and approves. */
export async function narrowedAndApproved(
  approver: Approver,
  budget: object,
): Promise<{ requestId: string; grantId: string }> {
  const waiting = () => patiently(async () => (await approver.state()).requests[0])
  const asked = await repeating((found) => found === undefined, waiting)
  must(asked !== undefined, 'the console never showed the request')
  const { authority } = asked
  const narrowed = { ...authority, budget: { ...authority.budget, ...budget } }
  const { grant_id: grantId } = await patiently(() => approver.approve(asked.id, { authority: narrowed }))
  must(grantId !== undefined, 'there is no grant')
  return { requestId: asked.id, grantId }
}

/** One fact a line, below the first as the demo indents them. */
export const paragraph = (...sentences: string[]): string => sentences.join('\n     ')
