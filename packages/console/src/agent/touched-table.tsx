import { query } from '../api.ts'
import { Link } from '../router.tsx'
import type { Touched, TouchedThing } from '../types.ts'
import { number } from '../ui/numbers.ts'
import { Empty } from '../ui/parts.tsx'
import { Ago } from '../ui/time.tsx'
import { Visible } from '../ui/visible.tsx'
import { deniedIn, reasonsIn } from './calls.ts'
import { costText, outcomesText, reasonWords, shownThings } from './summary.ts'

/** Tools and resources, each with how often it was used and denied. */
export function TouchedTable({ agent, touched }: { agent: string; touched: Touched }) {
  const things = shownThings(touched)
  if (things.length === 0)
    return (
      <Empty
        title={
          touched.complete
            ? 'It touched nothing, and nothing was denied.'
            : 'What it touched is not known: not all was read.'
        }
      />
    )
  const most = Math.max(...things.map((thing) => thing.allowed + deniedIn(thing)))
  return (
    <>
      <table className="touched">
        <caption className="hidden">
          What the agent did and was denied, by tool and resource, the most used first
        </caption>
        <thead>
          <tr>
            <th scope="col">What</th>
            <th scope="col">Allowed</th>
            <th scope="col">Denied</th>
          </tr>
        </thead>
        <tbody>
          {byTool(things).flatMap((same) =>
            same.map((thing, n) => (
              <ThingRow key={nameOf(thing)} agent={agent} thing={thing} most={most} isFurther={n > 0} />
            )),
          )}
        </tbody>
      </table>
      {touched.more_things > 0 ? <p className="hint">And {number(touched.more_things)} more.</p> : null}
    </>
  )
}

/** Those of one tool or resource after each other: what the agent did itself, then through whom. */
const byTool = (things: readonly TouchedThing[]): TouchedThing[][] =>
  [
    ...Map.groupBy(things, ({ action, type, resource, mapped }) => JSON.stringify([action, type, resource, mapped])),
  ].map(([, same]) => same.toSorted((a, b) => Number(a.through !== undefined) - Number(b.through !== undefined)))

const nameOf = ({ action, type, resource, mapped, through }: TouchedThing) =>
  JSON.stringify([action, type, resource, mapped, through])

/** `isFurther`: the row above is of the same tool or resource. */
function ThingRow({
  agent,
  thing,
  most,
  isFurther,
}: {
  agent: string
  thing: TouchedThing
  most: number
  isFurther: boolean
}) {
  const { action, type, resource, through, mapped, allowed, outcomes, cost, last } = thing
  const denied = deniedIn(thing)
  const part = (count: number) => `${(count / most) * 100}%`
  return (
    <tr className={isFurther ? 'further' : undefined}>
      <th scope="row">
        {isFurther ? (
          <span className="hidden">
            <Visible text={resource ?? 'Denials that were summed up'} />
          </span>
        ) : resource === undefined ? (
          'Denials that were summed up'
        ) : (
          <Link to={`/console/evidence${query({ agent, resource, type: 'decision' })}`}>
            <Visible text={resource} />
          </Link>
        )}
        <small>
          {action === undefined || isFurther ? null : (
            <Visible text={`${action}${type === undefined ? '' : ` · ${type}`}`} />
          )}
          {mapped && !isFurther ? ' · mapped from a call' : null}
          {through === undefined ? null : (
            <>
              {isFurther ? 'through ' : ' · through '}
              <Visible text={through.slice(through.lastIndexOf('/') + 1)} />
            </>
          )}{' '}
          · <Ago iso={last} />
        </small>
        <svg className="share" aria-hidden="true" width="100%" height="4">
          <rect className="allowed" width={part(allowed)} height="4" />
          <rect className="denied" x={part(allowed)} width={part(denied)} height="4" />
        </svg>
      </th>
      <td>
        {number(allowed)}
        <small>{[outcomesText(outcomes), costText(cost)].filter(Boolean).join(' · ')}</small>
      </td>
      <td className={denied > 0 ? 'bad' : undefined}>
        {number(denied)}
        <small>
          <Visible
            text={reasonsIn(thing)
              .map(([reason, count]) => `${reasonWords(reason)} ${number(count)}×`)
              .join(', ')}
          />
        </small>
      </td>
    </tr>
  )
}
