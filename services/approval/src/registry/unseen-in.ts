import type { Approval } from '../context.ts'
import type { RegistryAsk } from '../requests.ts'
import { unseenManifests } from './manifest-change.ts'
import { unreadablePolicies } from './policy-texts.ts'

/** The parts of a change that people cannot be shown; empty if they can see all of it. People sign only what they were shown. */
export function unseenIn(
  approval: Pick<Approval, 'policyText' | 'manifests' | 'projection'>,
  ask: RegistryAsk,
): string[] {
  return [...unreadablePolicies(approval.policyText, ask), ...unseenManifests(approval, ask)]
}
