import { type ReactNode, useEffect, useState } from 'react'
import { Problem } from '../api.ts'
import type { AgentView, Risk, RiskLevel } from '../types.ts'
import { problemText } from './problem-text.ts'
import { Visible } from './visible.tsx'

const levels: Record<RiskLevel, string> = { high: 'High risk', medium: 'Medium risk', low: 'Low risk' }

export function RiskBadge({ risk }: { risk: Risk }) {
  return <span className={`badge risk-${risk.level}`}>{levels[risk.level]}</span>
}

export function RiskReasons({ risk }: { risk: Risk }) {
  if (risk.reasons.length === 0) return null
  return (
    <ul className="reasons">
      {risk.reasons.map(({ level, text }) => (
        <li key={text} className={`reason risk-${level}`}>
          <Visible text={text} />
        </li>
      ))}
    </ul>
  )
}

export function Lines({ lines, label }: { lines: string[]; label?: string }) {
  return (
    <ul className="lines" aria-label={label}>
      {lines.map((line, n) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: lines have no identity, and never change place
        <li key={n}>
          <Visible text={line} />
        </li>
      ))}
    </ul>
  )
}

export type Row = readonly [string, ReactNode] | false | null | undefined

/** `pairs`: two next to each other where there is room. */
export function Facts({ rows, pairs = false }: { rows: Row[]; pairs?: boolean }) {
  return (
    <dl className={pairs ? 'facts pairs' : 'facts'}>
      {rows.map((row) =>
        row ? (
          <div key={row[0]}>
            <dt>{row[0]}</dt>
            <dd>{row[1]}</dd>
          </div>
        ) : null,
      )}
    </dl>
  )
}

export function AgentName({ from }: { from: AgentView }) {
  return <Visible text={from.name ?? 'An agent that is no longer registered'} />
}

/** The name that an agent gave its task: what is more than a name stands in quotes, or it would pass for our words. */
export const taskWords = (task: string) => (/^[A-Za-z0-9._:/@#+-]+$/.test(task) ? task : JSON.stringify(task))

/**
 * An owner who is not an approver: a group, a misspelt name, or a person who left. No rule keeps such an owner from
 * approving.
 */
export const notEnrolled = (owner: string) => `${owner}: not an enrolled approver`

export function OwnerName({ from }: { from: AgentView }) {
  return <Visible text={from.owner_name ?? (from.owner === null ? 'no one' : notEnrolled(from.owner))} />
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <p className="empty-title">{title}</p>
      {children}
    </div>
  )
}

export function Loading() {
  return (
    <p className="loading" aria-busy="true">
      Loading …
    </p>
  )
}

/** Says what went wrong, and what to do about it. It is also drawn where everything else failed. */
export function Failed({ error }: { error: unknown }) {
  const code = error instanceof Problem ? error.code : undefined
  const [fix, setFix] = useState<string>()
  useEffect(() => {
    setFix(undefined)
    if (code === undefined) return
    void import('../fixes.ts').then(
      ({ fixes }) => setFix(fixes[code]),
      () => undefined, // the server that refused may refuse this too
    )
  }, [code])
  return (
    <div className="note bad" role="alert">
      <p>
        <Visible text={problemText(error)} />
      </p>
      {fix ? <p className="fix">{fix.replaceAll('`', '')}</p> : null}
    </div>
  )
}

export function Card({
  title,
  children,
  aside,
  className = '',
  id,
}: {
  title?: ReactNode
  children: ReactNode
  aside?: ReactNode
  className?: string
  /** For links to this part of the page. */
  id?: string
}) {
  return (
    <section className={`card ${className}`} id={id}>
      {title === undefined ? null : (
        <div className="card-head">
          <h2>{title}</h2>
          {aside}
        </div>
      )}
      {children}
    </section>
  )
}

export const modeWords = {
  window: 'For a time',
  per_action: 'One exact action',
  continuous: 'While it stays proven',
} as const

export const stateWords: Record<string, string> = {
  absent: 'Unknown',
  pending: 'Waiting',
  approved: 'Approved',
  denied: 'Denied',
  expired: 'Expired',
  cancelled: 'Cancelled',
  withdrawn: 'Withdrawn',
  active: 'Active',
  suspended: 'Suspended',
  completed: 'Completed',
  revoked: 'Revoked',
  broken: 'No longer accepted',
}

export function StateBadge({ state }: { state: string }) {
  return <span className={`badge state-${state}`}>{stateWords[state] ?? state}</span>
}

export const attestorWords: Record<string, string> = {
  registered_key: 'Registered key',
  jwt_svid: 'SPIFFE JWT-SVID',
  oidc: 'OIDC workload token',
  join_token: 'Join token (development)',
  emergency: 'A person, in an emergency',
}

export const whyNotWords: Record<string, string> = {
  approval_rule_missing: 'No rule says who may approve this. It can only be denied.',
  approver_not_in_group: 'You are not in the group that answers this.',
  grant_not_active: 'The grant is over, so there is nothing to continue.',
  grant_unknown: 'The grant is no longer known.',
  approver_is_owner: 'You own this agent, so another person must answer.',
  arguments_required:
    'The rule requires that you see the arguments of this action, and the agent did not send them. It can only be denied.',
  arguments_gone: 'The arguments of this action are no longer kept. It can only be denied.',
  request_not_inspectable: 'It can only be denied.',
}
