import { useId, useState } from 'react'
import { serverNow } from '../api.ts'
import type { Grant } from '../types.ts'
import { micros } from '../ui/amounts.ts'
import { Tabs } from '../ui/lists.tsx'
import { like, number } from '../ui/numbers.ts'
import { Card, Failed, Loading, taskWords } from '../ui/parts.tsx'
import { timeText, When } from '../ui/time.tsx'
import { type BurnDown, burnDown, unitsOf } from './burn-down.ts'
import { useGrantCalls } from './data.ts'

const [width, height, left, bottom] = [720, 180, 0, 22]
/** Rows of the table: the newest calls. */
const mostRows = 50

/** How the budget of one grant was used up over time. */
export function BudgetCard({ grants }: { grants: readonly Grant[] }) {
  const drawn = grants.filter((grant) => unitsOf(grant).length > 0)
  const [chosen, setChosen] = useState<string>()
  const grant = drawn.find(({ id }) => id === chosen) ?? drawn[0]
  const [unit, setUnit] = useState<string>()
  const calls = useGrantCalls(grant?.id, grant?.state === 'active')
  if (grant === undefined) return null
  const units = unitsOf(grant)
  const shownUnit = unit !== undefined && units.includes(unit) ? unit : (units[0] ?? 'calls')
  const burned = calls.data && burnDown(grant, calls.data.events, shownUnit, serverNow())
  return (
    <Card
      title="What is left of the budget"
      aside={
        units.length > 1 ? (
          <Tabs
            label="Which limit"
            options={Object.fromEntries(units.map((name) => [name, unitWords(name)]))}
            value={shownUnit}
            onChange={setUnit}
          />
        ) : null
      }
    >
      {drawn.length > 1 ? (
        <select aria-label="Which grant" value={grant.id} onChange={({ currentTarget: { value } }) => setChosen(value)}>
          {drawn.map((each) => (
            <option key={each.id} value={each.id}>
              {`${taskWords(each.task)}, ${each.state}, made ${timeText(each.created_at)}`}
            </option>
          ))}
        </select>
      ) : (
        <p className="hint">{taskWords(grant.task)}</p>
      )}
      {calls.isPending ? <Loading /> : null}
      {calls.error ? <Failed error={calls.error} /> : null}
      {burned ? <BurnDownFigure grant={grant} burned={burned} isCut={calls.data?.next !== undefined} /> : null}
    </Card>
  )
}

const unitWords = (unit: string) => (unit === 'calls' ? 'Calls' : unit)

function BurnDownFigure({ grant, burned, isCut }: { grant: Grant; burned: BurnDown; isCut: boolean }) {
  const { unit, limit, first, calls, usedUpAt } = burned
  const caption = useId()
  const isOver = grant.state !== 'active' && grant.state !== 'suspended'
  const now = serverNow()
  const last = calls.at(-1) ?? first
  const begin = Math.min(first.at, Date.parse(grant.created_at))
  // Shows as much future as past: otherwise the first calls of a long grant would be one line.
  const end = isOver
    ? Math.max(last.at, begin + 1000)
    : Math.min(Date.parse(grant.not_after), Math.max(2 * now - begin, begin + 60_000))
  const x = (at: number) => left + (Math.min(Math.max(at - begin, 0), end - begin) / (end - begin)) * (width - left)
  const most = Number(micros(limit)) || 1
  const y = (amount: string) => (1 - Number(micros(amount)) / most) * (height - bottom)
  const until = Math.min(isOver ? last.at : now, end)
  const steps = calls.map(({ at, left }) => `H${x(at).toFixed(1)}V${y(left).toFixed(1)}`).join('')
  const line = `M${x(first.at).toFixed(1)} ${y(first.left).toFixed(1)}${steps}H${x(until).toFixed(1)}`
  const shown = number(like(last.left, limit))
  const words = `${shown} of ${number(limit)} ${unit === 'calls' ? 'calls' : unit} ${isOver ? 'were' : 'are'} left`
  return (
    <figure className="burn-down" aria-labelledby={caption}>
      <svg viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
        <path
          className="grid"
          d={`M0 ${height - bottom}H${width}M0 0.5H${width}M0 ${(height - bottom) / 2}H${width}`}
        />
        <path className="area" d={`${line}V${height - bottom}H${x(first.at).toFixed(1)}Z`} />
        {isOver ? null : (
          <path
            className="forecast"
            d={`M${x(until).toFixed(1)} ${y(last.left).toFixed(1)}L${x(usedUpAt ?? end).toFixed(1)} ${usedUpAt === undefined ? y(last.left).toFixed(1) : height - bottom}`}
          />
        )}
        <path className="line" d={line} />
        <circle cx={x(until)} cy={y(last.left)} r="4" />
      </svg>
      <p className="call-axis" aria-hidden="true">
        <When iso={new Date(begin).toISOString()} />
        <When iso={new Date(end).toISOString()} />
      </p>
      <figcaption id={caption}>
        <strong>{words}</strong>
        {usedUpAt === undefined ? (
          isOver ? (
            '.'
          ) : (
            ', until the grant ends.'
          )
        ) : (
          <>
            . At this pace nothing is left at <When iso={new Date(usedUpAt).toISOString()} />, before the grant ends.
          </>
        )}
        {isCut ? ' Only the newest calls are drawn.' : null}
      </figcaption>
      <details>
        <summary>As a table</summary>
        <table className="activity">
          <caption className="hidden">What each call took, and what was left after it, newest first</caption>
          <thead>
            <tr>
              <th scope="col">Time</th>
              <th scope="col">Took</th>
              <th scope="col">Left</th>
            </tr>
          </thead>
          <tbody>
            {calls
              .slice(-mostRows)
              .reverse()
              .map(({ at, took, left }, n) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: two calls may be of one moment
                <tr key={n}>
                  <th scope="row">
                    <When iso={new Date(at).toISOString()} />
                  </th>
                  <td>{number(like(took, limit))}</td>
                  <td>{number(like(left, limit))}</td>
                </tr>
              ))}
          </tbody>
        </table>
      </details>
    </figure>
  )
}
