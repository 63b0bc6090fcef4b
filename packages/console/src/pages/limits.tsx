import type { AccessDetail, Continuous, RowLimits } from '../types.ts'
import { money, number } from '../ui/numbers.ts'
import { Card, Facts } from '../ui/parts.tsx'
import { duration, useNow, When } from '../ui/time.tsx'
import { Visible } from '../ui/visible.tsx'
import { howLong } from './how-long.ts'

/** Amounts, duration and sub-agents: always all of them, including those without a limit. */
export function Limits({ request }: { request: AccessDetail }) {
  const now = useNow()
  const { authority, not_before, not_after, rebind } = request
  if (authority === null) return null
  const { budget, max_depth: depth, max_children: children, delegates } = authority
  const spent = Object.entries(budget.cost ?? {})
  return (
    <Card title="Within these limits">
      <div className="limits">
        <Limit name="Money">
          {spent.length === 0 ? 'none' : spent.map(([currency, amount]) => money(amount, currency)).join(', ')}
        </Limit>
        <Limit name="Calls" unlimited={budget.calls === undefined}>
          {budget.calls === undefined ? 'no limit' : number(budget.calls)}
        </Limit>
        <Limit name={request.open ? 'Left' : 'For'}>{howLong({ not_before, not_after }, request.open ? now : 0)}</Limit>
        <Limit name="Bytes sent out" unlimited={budget.egress_bytes === undefined}>
          {budget.egress_bytes === undefined ? 'no limit' : number(budget.egress_bytes)}
        </Limit>
        <Limit name="Sub-agents" unlimited={false}>
          {depth === 0 || children === 0 || delegates?.length === 0 ? 'none' : `${children} each, ${depth} deep`}
        </Limit>
      </div>
      <Facts
        rows={[
          ['Valid from', <When key="f" iso={not_before} />],
          ['Valid until', <When key="u" iso={not_after} />],
          depth > 0 &&
            children > 0 && [
              'Sub-agents may be',
              delegates === undefined ? 'any agent' : <Visible key="a" text={delegates.join(', ') || 'none'} />,
            ],
          rebind === 'attested' && ['New key', 'May be bound to a new, newly attested key of the same agent'],
        ]}
      />
      {request.rule?.continuous ? <p className="note">{freshWords(request.rule.continuous)}</p> : null}
    </Card>
  )
}

/** The conditions under which a continuous grant stays open. */
export const freshWords = ({ reattest_seconds, outcome_seconds }: Continuous) =>
  `Stays open only while the workload proves its identity again at least every ${duration(reattest_seconds)}, and each outcome is reported within ${duration(outcome_seconds)}. When either lapses, the next action waits for a person.`

/** The same, in one line, for a list. */
export function LimitLine({ limits, waits }: { limits: RowLimits; waits: boolean }) {
  const { budget, max_depth: depth, max_children: children, not_before, not_after } = limits
  const spent = Object.entries(budget.cost ?? {}).map(([currency, amount]) => money(amount, currency))
  const now = useNow()
  const rest = [
    budget.calls === undefined
      ? 'any number of calls'
      : `${number(budget.calls)} ${budget.calls === 1 ? 'call' : 'calls'}`,
    `for ${howLong({ not_before, not_after }, waits ? now : 0)}`,
    ...(depth > 0 && children > 0 ? ['may pass it on'] : []),
  ]
  return (
    <p className="limit-line">
      <strong>{spent.length === 0 ? 'no money' : spent.join(' and ')}</strong>
      {rest.map((text) => (
        <span key={text}>{text}</span>
      ))}
    </p>
  )
}

function Limit({
  name,
  unlimited = false,
  children,
}: {
  name: string
  unlimited?: boolean
  children: React.ReactNode
}) {
  return (
    <div className={`limit ${unlimited ? 'unlimited' : ''}`}>
      <span className="limit-name">{name}</span>
      <span className="limit-value">{children}</span>
    </div>
  )
}
