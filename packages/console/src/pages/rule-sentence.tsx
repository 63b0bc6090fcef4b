import type { Rule } from '../types.ts'
import { Visible } from '../ui/visible.tsx'

export const isOfRegistry = ({ id }: Pick<Rule, 'id'>): boolean => id === 'registry'

/** A rule in words, without its limits. */
export function RuleSentence({ rule }: { rule: Pick<Rule, 'id' | 'match' | 'approvers' | 'emergency'> }) {
  const { approvers, match } = rule
  return (
    <p className="sentence">
      {rule.emergency === undefined ? null : 'In an emergency: '}
      {isOfRegistry(rule) ? 'Changes of the registry' : <Matches match={match} />}{' '}
      {approvers.quorum === 1 ? 'take one approver' : `take ${approvers.quorum} different approvers`} of{' '}
      <strong>
        <Visible text={approvers.group} />
      </strong>
      .
    </p>
  )
}

const names: Record<string, string> = {
  agents: 'by the agent',
  actions: 'to do',
  resources: 'on',
  labels: 'with a tool labelled',
  agent_labels: 'by an agent labelled',
  cost_above: 'that may cost more than',
}

function Matches({ match }: { match: Record<string, unknown> }) {
  const given = Object.entries(match).filter(([, value]) => value !== undefined)
  if (given.length === 0) return 'All requests'
  return (
    <>
      Requests{' '}
      {given.map(([member, value], n) => (
        <span key={member}>
          {n > 0 ? ', ' : ''}
          {names[member] ?? member} <Visible text={member === 'cost_above' ? amounts(value) : wordsOf(value)} />
        </span>
      ))}
    </>
  )
}

const amounts = (value: unknown) =>
  Object.entries(value as Record<string, string>)
    .map(([currency, amount]) => `${amount} ${currency}`)
    .join(' or ')

function wordsOf(value: unknown): string {
  if (Array.isArray(value)) return value.map(wordsOf).join(' or ')
  if (typeof value !== 'object' || value === null) return String(value)
  const { type, id, id_prefix: prefix } = value as Record<string, string | undefined>
  return `${id === undefined && prefix === undefined ? 'any ' : ''}${type} ${id ?? (prefix === undefined ? '' : `below ${prefix}`)}`
}
