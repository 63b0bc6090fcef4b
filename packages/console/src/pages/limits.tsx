import type { AccessDetail } from '../types.ts'
import { Card, Facts } from '../ui/parts.tsx'
import { duration, When } from '../ui/time.tsx'

/** How much, how long, and with what in its hand: always all of it, also where there is no limit. */
export function Limits({ request }: { request: AccessDetail }) {
  const { authority, not_before, not_after, action_digest, rebind } = request
  if (authority === null) return null
  const { budget, max_depth: depth, max_children: children } = authority
  const money = Object.entries(budget.cost ?? {})
  const seconds = Math.round((Date.parse(not_after) - Date.parse(not_before)) / 1000)
  return (
    <Card title="Within these limits">
      <div className="limits">
        <Limit name="Money">
          {money.length === 0 ? 'none' : money.map(([c, amount]) => `${amount} ${c}`).join(', ')}
        </Limit>
        <Limit name="Calls" unlimited={budget.calls === undefined}>
          {budget.calls ?? 'no limit'}
        </Limit>
        <Limit name="For">{duration(seconds)}</Limit>
        <Limit name="Bytes sent out" unlimited={budget.egress_bytes === undefined}>
          {budget.egress_bytes ?? 'no limit'}
        </Limit>
        <Limit name="Sub-agents" unlimited={false}>
          {depth === 0 || children === 0 ? 'none' : `${children} each, ${depth} deep`}
        </Limit>
      </div>
      <Facts
        rows={[
          ['Valid from', <When key="f" iso={not_before} />],
          ['Valid until', <When key="u" iso={not_after} />],
          action_digest !== null && ['Exact action', <code key="d">{action_digest}</code>],
          rebind === 'attested' && ['New key', 'May be bound to a new, newly attested key of the same agent'],
        ]}
      />
    </Card>
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
