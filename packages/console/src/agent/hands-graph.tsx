import type { Grant } from '../types.ts'
import { number } from '../ui/numbers.ts'
import { Card, StateBadge, taskWords } from '../ui/parts.tsx'
import { Visible } from '../ui/visible.tsx'
import { holderOf, type Placed, placed } from './tree-layout.ts'

const [rowHeight, indent, box, boxWidth] = [46, 26, 36, 236]
/** A longer name would not fit into its box. */
const longest = 24
/** A chain may be eight deep; further ones are below each other. */
const deepest = 4

/** Delegations: each grant as a tree, the holder first. */
export function HandsGraph({ grants, agent }: { grants: readonly Grant[]; agent: string }) {
  const passedOn = grants.filter(({ chain }) => chain.length > 0)
  if (passedOn.length === 0) return null
  return (
    <Card title="Passed on">
      <div className="hands">
        {passedOn.map((grant) => (
          <Hands key={grant.id} grant={grant} agent={agent} />
        ))}
      </div>
    </Card>
  )
}

function Hands({ grant, agent }: { grant: Grant; agent: string }) {
  const all = placed(holderOf(grant, agent))
  const depth = Math.min(deepest, Math.max(...all.map((each) => each.depth)))
  const [width, height] = [depth * indent + boxWidth + 2, all.length * rowHeight]
  return (
    <figure>
      <figcaption className="hint">
        <Visible text={taskWords(grant.task)} />: {number(all.length - 1)}{' '}
        {all.length === 2 ? 'agent has' : 'agents have'} a part of it
      </figcaption>
      <svg viewBox={`0 0 ${width} ${height}`} width={width} height={height} aria-hidden="true">
        {all.map((one) => (
          <Box key={one.id} one={one} above={one.above === undefined ? undefined : all[one.above]} />
        ))}
      </svg>
      <details>
        <summary>As a table</summary>
        <table className="activity">
          <caption className="hidden">Who has a part of this grant, and from whom</caption>
          <thead>
            <tr>
              <th scope="col">Agent</th>
              <th scope="col">From</th>
              <th scope="col">State</th>
              <th scope="col">Calls</th>
            </tr>
          </thead>
          <tbody>
            {all.map((one) => (
              <tr key={one.id}>
                <th scope="row">
                  <Visible text={one.name} />
                </th>
                <td>{one.above === undefined ? 'the approvers' : <Visible text={all[one.above]?.name ?? ''} />}</td>
                <td>
                  <StateBadge state={one.state} />
                </td>
                <td>{callsText(one)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </details>
    </figure>
  )
}

function Box({ one, above }: { one: Placed; above: Placed | undefined }) {
  const left = (each: Placed) => Math.min(each.depth, deepest) * indent + 1
  const [x, y] = [left(one), one.row * rowHeight + 5]
  return (
    <g className={`hand ${one.state}${one.isOwn ? ' own' : ''}`}>
      {above === undefined ? null : (
        <path d={`M${left(above) + 12} ${above.row * rowHeight + 5 + box}V${y + box / 2}H${x}`} />
      )}
      <rect x={x} y={y} width={boxWidth} height={box} rx="6" />
      <text x={x + 10} y={y + 16}>
        {short(one.name)}
      </text>
      <text x={x + 10} y={y + 30} className="note-text">
        {callsText(one)} · {one.state}
      </text>
    </g>
  )
}

const callsText = ({ calls: { used, most } }: Placed) =>
  most === undefined ? `${number(used)} calls` : `${number(used)} of ${number(most)} calls`

/** Untrusted text in a picture: characters that cannot be seen, or turn the line around, are replaced. */
function short(name: string): string {
  const characters = [...name.replace(/[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\p{M}]/gu, '\ufffd')]
  return characters.length > longest ? `${characters.slice(0, longest - 1).join('')}…` : characters.join('')
}
