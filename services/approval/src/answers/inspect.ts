import { type Authority, describe, parseAuthority, unseenIn } from '@bailiwick/authority'
import type { AccessAsk, StepUpAsk } from '../requests.ts'

/** More than a person reads before a signature. */
const mostCharacters = 6000

// Total over the contract: a new member does not compile until the console shows it.
const shownOfAccess: Record<keyof AccessAsk, true> = {
  kind: true,
  request_id: true,
  item: true,
  request: true,
  request_hash: true,
  agent: true,
  instance_key: true,
  authority: true,
  mode: true,
  action_digest: true,
  arguments: true,
  rebind: true,
  not_before: true,
  not_after: true,
  purpose: true,
  received_by: true,
  attestation: true,
  denial: true,
  callback: true,
  reopened: true,
  expires_at: true,
}

const shownOfStepUp: Record<keyof StepUpAsk, true> = {
  kind: true,
  request_id: true,
  request: true,
  request_hash: true,
  agent: true,
  instance_key: true,
  grant_id: true,
  action: true,
  arguments: true,
  denial: true,
  needs: true,
  purpose: true,
  received_by: true,
  attestation: true,
  callback: true,
  expires_at: true,
}

/**
 * The parts of an agent's ask that the console cannot put into words; empty if a person can know all of it. People sign only what was
 * explained to them: a request with unexplained parts can be denied, but not approved.
 */
export function unexplained(ask: AccessAsk | StepUpAsk): string[] {
  const shown: Record<string, true> = ask.kind === 'access' ? shownOfAccess : shownOfStepUp
  const strange = Object.keys(ask).filter((member) => !Object.hasOwn(shown, member))
  if (ask.kind === 'step_up') {
    const long = JSON.stringify(ask.action).length > mostCharacters
    return long ? [...strange, 'action: longer than anybody reads'] : strange
  }
  const parsed = parseAuthority(ask.authority)
  if (!parsed.ok) return [...strange, `authority: ${parsed.detail}`]
  const unseen = unseenIn(parsed.authority)
  if (unseen !== undefined) strange.push(`authority: ${unseen}: invisible characters`)
  if (lengthOf(parsed.authority) > mostCharacters) strange.push('authority: longer than anybody reads')
  return strange
}

const lengthOf = (authority: Authority) => describe(authority).reduce((sum, line) => sum + line.length, 0)
