import { useQuery } from '@tanstack/react-query'
import { api } from '../api.ts'
import { Link } from '../router.tsx'
import type { ListRulesAnswer, Me, RequestDetail } from '../types.ts'
import { Card, Facts, Failed, Loading } from '../ui/parts.tsx'
import { duration } from '../ui/time.tsx'
import { Visible } from '../ui/visible.tsx'
import { rulesTriedBefore } from './rule-order.ts'
import { RuleSentence } from './rule-sentence.tsx'

/** The rule that applies to a request: what it matches, which rules were tried before it, and what it lets people do. */
export function RuleThatHolds({ request, me }: { request: RequestDetail; me: Me }) {
  const list = useQuery({ queryKey: ['rules'], queryFn: () => api<ListRulesAnswer>('/rules') })
  const { rule: applied } = request
  if (applied === null || applied.id === null)
    return (
      <Card title="Which rule holds">
        <p className="hint">
          {applied === null
            ? 'No rule holds for this request, so it cannot be approved.'
            : 'No rule: any approver may sign.'}{' '}
          <Link to="/console/rules">All rules</Link>
        </p>
      </Card>
    )
  const rules = list.data?.items ?? []
  const rule = rules.find(({ id }) => id === applied.id)
  const before = rulesTriedBefore(rules, applied.id)
  return (
    <Card title="Which rule holds">
      {list.isPending ? <Loading /> : null}
      {list.error ? <Failed error={list.error} /> : null}
      {rule === undefined ? null : (
        <>
          <p>
            <Link to="/console/rules">
              <Visible text={rule.id} />
            </Link>
            {before.length === 0 ? ': the first rule that is tried, and it matches.' : ': the first rule that matches.'}
          </p>
          <RuleSentence rule={rule} />
          <Facts
            rows={[
              before.length > 0 && ['Tried before, no match', <Visible key="b" text={before.join(', ')} />],
              ['You', rule.members.some(({ id }) => id === me.me.id) ? 'are in this group' : 'are not in this group'],
              ['The owner', rule.owner_may_approve ? 'may approve their own agent' : 'may not approve their own agent'],
              ['Longest', duration(rule.max_window_seconds)],
            ]}
          />
        </>
      )}
    </Card>
  )
}
