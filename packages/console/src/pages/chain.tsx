import type { Link } from '../types.ts'
import { Copied } from '../ui/copy.tsx'
import { AgentName, Lines, StateBadge } from '../ui/parts.tsx'
import { Countdown } from '../ui/time.tsx'
import { Meters } from './meters.tsx'
import type { Stop } from './stop-dialog.tsx'

/** The agents to which a grant was delegated, directly or further down, each with its authority and a way to end it. */
export function Chain({ links, onStop }: { links: Link[]; onStop(stop: Stop): void }) {
  return (
    <ul className="tree">
      {links.map((link) => (
        <li key={link.id} data-delegation={link.id}>
          <SubAgent link={link} onStop={onStop} />
          {link.children.length > 0 ? <Chain links={link.children} onStop={onStop} /> : null}
        </li>
      ))}
    </ul>
  )
}

function SubAgent({ link, onStop }: { link: Link; onStop(stop: Stop): void }) {
  const { id, from, state, not_after, lines, budget, taken, may_stop } = link
  const name = from.name ?? from.id
  return (
    <article className={`link ${state}`} aria-label={`Passed on to ${name}`}>
      <div className="link-head">
        <strong>
          <AgentName from={from} />
        </strong>
        <span className="id">{from.instance.slice(from.id.length + 1)}</span>
        <StateBadge state={state} />
        {state === 'active' ? (
          <span className="row-time">
            ends in <Countdown iso={not_after} />
          </span>
        ) : null}
      </div>
      <Meters budget={budget} taken={taken} />
      <div className="link-foot">
        <details>
          <summary>What was passed on</summary>
          <Lines lines={lines} />
          <p className="hint">
            Delegation <Copied text={id} what="the delegation’s id" />
          </p>
        </details>
        {state === 'active' && may_stop ? (
          <button
            type="button"
            className="danger-quiet quiet"
            aria-label={`Withdraw what was passed on to ${name}`}
            onClick={() => onStop({ kind: 'delegation', target: id, name })}
          >
            Withdraw…
          </button>
        ) : null}
      </div>
    </article>
  )
}
