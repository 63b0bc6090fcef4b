import { useQuery } from '@tanstack/react-query'
import { lately, type SpanName, spans } from '../agent/span.ts'
import { reasonWords } from '../agent/summary.ts'
import { api, query } from '../api.ts'
import { Link } from '../router.tsx'
import type { DeniedThings } from '../types.ts'
import { number } from '../ui/numbers.ts'
import { Card, Failed, Loading } from '../ui/parts.tsx'
import { Visible } from '../ui/visible.tsx'
import { agentPage } from './agent-address.ts'
import { type DenialCell, denialsGrid, others, summedUp } from './denials-grid.ts'

/** Which agents were denied which tools: a table whose cells are the darker, the more was denied. */
export function DenialsMap({ span }: { span: SpanName }) {
  const { data, error, isPending } = useQuery({
    queryKey: ['denied', span],
    queryFn: () => api<DeniedThings>(`/evidence/denied${query(lately(span).times())}`),
    refetchInterval: 60_000,
  })
  return (
    <Card title="Denials by agent and tool" id="denials">
      {isPending ? <Loading /> : null}
      {error ? <Failed error={error} /> : null}
      {data ? <Grid denied={data} words={spans[span]} /> : null}
    </Card>
  )
}

function Grid({ denied, words }: { denied: DeniedThings; words: string }) {
  const { columns, rows, isCut } = denialsGrid(denied)
  if (rows.length === 0 && !isCut) return <p className="hint">Nothing was denied in the last {words}.</p>
  return (
    <>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: the keyboard must reach what scrolls */}
      <section className="heat" aria-label="Denials by agent and tool" tabIndex={0}>
        <table>
          <caption className="hidden">
            How often each agent was denied each tool in the last {words}, the most denied first
          </caption>
          <thead>
            <tr>
              <th scope="col">Agent</th>
              {columns.map((column) => (
                <th key={column} scope="col" className={column === others || column === summedUp ? 'hint' : undefined}>
                  <Visible text={column} />
                </th>
              ))}
              <th scope="col">All</th>
            </tr>
          </thead>
          <tbody>
            {rows.map(({ agent, denied, cells }) => (
              <tr key={agent}>
                <th scope="row">
                  <Link to={`${agentPage(agent)}?calls=decision.denied`}>
                    <Visible text={agent.slice(agent.lastIndexOf('/') + 1)} />
                  </Link>
                </th>
                {cells.map((cell, n) => (
                  <Cell key={columns[n]} cell={cell} agent={agent} column={columns[n] ?? ''} />
                ))}
                <td>{number(denied)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      {isCut ? <p className="hint">There are more denials: only the most denied agents and tools are shown.</p> : null}
    </>
  )
}

function Cell({
  cell: { denied, level, reasons },
  agent,
  column,
}: {
  cell: DenialCell
  agent: string
  column: string
}) {
  if (denied === 0) return <td className="level-0">0</td>
  const why = reasons.map(([reason, count]) => `${reasonWords(reason)} ${number(count)}×`).join(', ')
  const isNamed = column !== others && column !== summedUp
  return (
    <td className={`level-${level}`} title={why}>
      {isNamed ? (
        <Link
          to={`/console/evidence${query({ agent, resource: column, type: 'decision.denied' })}`}
          aria-label={`${number(denied)}: ${why}`}
        >
          {number(denied)}
        </Link>
      ) : (
        number(denied)
      )}
    </td>
  )
}
