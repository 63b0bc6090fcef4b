import { useQuery } from '@tanstack/react-query'
import { api, query, serverNow } from '../api.ts'
import { Link } from '../router.tsx'
import type { Activity, Grant, ListGrantsAnswer } from '../types.ts'
import { money, number } from '../ui/numbers.ts'
import { Card, Facts, Failed, Loading } from '../ui/parts.tsx'
import { answersTo, grantHours, spentBy } from './agent-lately.ts'

const hourMs = 3_600_000
/** How many pages of grants are added up. If there are more, the card says so. */
const mostPages = 4

/** The agent's recent activity: its ALLOWs, its denials, and its spending. */
export function AgentLately({ agent }: { agent: string }) {
  const answers = useQuery({
    queryKey: ['activity', 'day'],
    queryFn: () => {
      const to = serverNow()
      const iso = (ms: number) => new Date(ms).toISOString()
      return api<Activity>(`/evidence/activity${query({ from: iso(to - 23 * hourMs), to: iso(to) })}`)
    },
    staleTime: 60_000,
  })
  const grants = useQuery({
    queryKey: ['lately', agent],
    queryFn: () => newestGrants(agent),
    staleTime: 60_000,
  })
  const counted = answers.data && answersTo(agent, answers.data)
  const spent = grants.data && [...spentBy(agent, grants.data.items, serverNow())]
  return (
    <Card title="This agent’s last 24 hours">
      {answers.isPending ? <Loading /> : null}
      {answers.error ? <p className="hint">Evidence cannot be read: {answers.error.message}</p> : null}
      {grants.error ? <Failed error={grants.error} /> : null}
      <Facts
        rows={[
          counted && ['Calls allowed', number(counted.allowed)],
          counted && [
            'Calls denied',
            <span key="d" className={counted.denied > 0 ? 'bad' : undefined}>
              {number(counted.denied)}
            </span>,
          ],
          spent && [
            `Spent in ${grantHours} h`,
            `${grants.data?.isMore ? 'at least ' : ''}${spent.length === 0 ? 'nothing' : spent.map(([currency, amount]) => money(amount, currency)).join(' and ')}`,
          ],
        ]}
      />
      <p className="hint">
        Spent: under its own grants that were made in the last {grantHours} hours, by its sub-agents too.{' '}
        <Link to={`/console/evidence${query({ agent, type: 'decision' })}`}>Its decisions</Link>
      </p>
    </Card>
  )
}

async function newestGrants(agent: string): Promise<{ items: Grant[]; isMore: boolean }> {
  const items: Grant[] = []
  let cursor: string | undefined = ''
  for (let n = 0; n < mostPages && cursor !== undefined; n++) {
    const page: ListGrantsAnswer = await api(`/grants${query({ state: 'all', agent, cursor })}`)
    items.push(...page.items)
    const last = page.items.at(-1)
    const isOld = last !== undefined && Date.parse(last.created_at) < serverNow() - grantHours * hourMs
    cursor = isOld ? undefined : page.next
  }
  return { items, isMore: cursor !== undefined }
}
