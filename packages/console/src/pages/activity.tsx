import { useEffect, useMemo, useRef, useState } from 'react'
import { type SpanName, spans } from '../agent/span.ts'
import { query } from '../api.ts'
import { Link } from '../router.tsx'
import type { Activity } from '../types.ts'
import { Tabs } from '../ui/lists.tsx'
import { number } from '../ui/numbers.ts'
import { Card, Failed, Loading } from '../ui/parts.tsx'
import { Visible } from '../ui/visible.tsx'
import { DenialsMap } from './denials-map.tsx'
import { sum, useActivity } from './use-activity.ts'

/** How often agents got ALLOW and DENY, by the hour: as a chart, and as a table with the same numbers. */
export function ActivityCard({ agent }: { agent: string | undefined }) {
  const [span, setSpan] = useState<SpanName>('day')
  const { data, error, isPending } = useActivity(span)
  const shown = useMemo(
    () => data?.agents.filter((one) => agent === undefined || isOf(agent, one.agent)) ?? [],
    [data, agent],
  )
  return (
    <>
      <Card
        title="Decisions by the hour"
        aside={<Tabs label="How far back" options={spans} value={span} onChange={setSpan} />}
      >
        {isPending ? <Loading /> : null}
        {error ? <Failed error={error} /> : null}
        {data ? <Picture activity={data} agents={shown} /> : null}
        {shown.length > 0 ? (
          <table className="activity">
            <caption className="hidden">Decisions of each agent in the last {spans[span]}</caption>
            <thead>
              <tr>
                <th scope="col">Agent</th>
                <th scope="col">Allowed</th>
                <th scope="col">Denied</th>
              </tr>
            </thead>
            <tbody>
              {shown.map((one) => (
                <tr key={one.agent ?? '*'}>
                  <th scope="row">
                    {one.agent === null ? (
                      'All others'
                    ) : (
                      <Link to={`/console/evidence${query({ agent: one.agent, type: 'decision' })}`}>
                        <Visible text={one.agent} />
                      </Link>
                    )}
                  </th>
                  <td>{number(sum(one.allowed))}</td>
                  <td className={sum(one.denied) > 0 ? 'bad' : undefined}>{number(sum(one.denied))}</td>
                </tr>
              ))}
            </tbody>
          </table>
        ) : data ? (
          <p className="hint">No agent asked to act in this time.</p>
        ) : null}
      </Card>
      <DenialsMap span={span} />
    </>
  )
}

const isOf = (wanted: string, agent: string | null) =>
  agent !== null && (wanted === agent || wanted.startsWith(`${agent}/`))

function Picture({ activity, agents }: { activity: Activity; agents: Activity['agents'] }) {
  const place = useRef<HTMLDivElement>(null)
  useEffect(() => {
    const element = place.current
    if (element === null) return
    let gone = false
    let chart: { destroy(): void } | undefined
    void import('../ui/chart.ts').then(({ drawActivity }) => {
      if (!gone) chart = drawActivity(element, activity, agents)
    })
    return () => {
      gone = true
      chart?.destroy()
    }
  }, [activity, agents])
  return <div ref={place} className="chart" aria-hidden="true" />
}
