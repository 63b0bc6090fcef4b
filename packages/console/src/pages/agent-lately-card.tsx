import { deniedIn, reasonsIn } from '../agent/calls.ts'
import { useTouched } from '../agent/data.ts'
import { spanOf } from '../agent/span.ts'
import { costText, reasonWords } from '../agent/summary.ts'
import { query } from '../api.ts'
import { Link } from '../router.tsx'
import { number } from '../ui/numbers.ts'
import { Card, Facts, Failed, Loading } from '../ui/parts.tsx'
import { agentPage } from './agent-address.ts'

const againMs = 60_000

/** The agent's last day: its ALLOWs, its denials and its spending, with those of the sub-agents that acted for it. */
export function AgentLately({ agent }: { agent: string }) {
  const { data, error, isPending } = useTouched(agent, spanOf({}, null), againMs)
  const denied = data === undefined ? 0 : deniedIn(data)
  const [worst] = data === undefined ? [] : reasonsIn(data)
  const least = (words: string) => (data?.complete ? words : `at least ${words}`)
  const spent = data === undefined ? '' : costText(data.cost)
  return (
    <Card title="This agent’s last 24 hours">
      {isPending ? <Loading /> : null}
      {error ? <Failed error={error} /> : null}
      {data ? (
        <Facts
          rows={[
            ['Calls allowed', least(number(data.allowed))],
            [
              'Calls denied',
              <span key="d" className={denied > 0 ? 'bad' : undefined}>
                {least(number(denied))}
                {worst === undefined ? null : `, most often for: ${reasonWords(worst[0])}`}
              </span>,
            ],
            ['Spent', spent === '' ? (data.complete ? 'nothing' : 'not known') : least(spent)],
          ]}
        />
      ) : null}
      <p className="hint">
        With the calls of sub-agents that acted for it; whole hours. <Link to={agentPage(agent)}>What it touched</Link>{' '}
        · <Link to={`/console/evidence${query({ agent, type: 'decision' })}`}>Its decisions</Link>
      </p>
    </Card>
  )
}
