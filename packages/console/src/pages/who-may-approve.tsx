import type { Rule } from '../types.ts'
import { Card } from '../ui/parts.tsx'
import { Visible } from '../ui/visible.tsx'

/** Who may approve what: a table of rules and people. A rule's first match decides, so its order is the order of the rows. */
export function WhoMayApprove({ rules }: { rules: readonly Rule[] }) {
  const people = new Map(rules.flatMap(({ members }) => members.map(({ id, name }) => [id, name])))
  if (people.size === 0) return null
  const sorted = [...people].sort((a, b) => a[1].localeCompare(b[1]))
  return (
    <Card title="Who may approve what" id="who">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: the keyboard must reach what scrolls */}
      <section className="heat who-may" aria-label="Who may approve what" tabIndex={0}>
        <table>
          <caption className="hidden">
            Rules in the order in which they are tried, and the people who answer for each
          </caption>
          <thead>
            <tr>
              <th scope="col">Rule</th>
              {sorted.map(([id, name]) => (
                <th key={id} scope="col">
                  <Visible text={name} />
                </th>
              ))}
              <th scope="col">It takes</th>
            </tr>
          </thead>
          <tbody>
            {rules.map((rule) => (
              <Row key={rule.id} rule={rule} people={sorted.map(([id]) => id)} />
            ))}
          </tbody>
        </table>
      </section>
      <p className="hint">
        ● may approve · ◐ may approve, except for agents that this person owns · – not in the group
      </p>
    </Card>
  )
}

function Row({ rule, people }: { rule: Rule; people: readonly string[] }) {
  const { id, approvers, members, owner_may_approve } = rule
  const isShort = members.length < approvers.quorum
  const mayOwn = owner_may_approve || id === 'registry'
  return (
    <tr>
      <th scope="row">
        <Visible text={id} />
      </th>
      {people.map((person) => {
        const isMember = members.some((member) => member.id === person)
        const words = !isMember ? 'no' : mayOwn ? 'yes' : 'yes, except for own agents'
        return (
          <td key={person} className={isMember ? 'may' : 'level-0'} title={words}>
            <span aria-hidden="true">{!isMember ? '–' : mayOwn ? '●' : '◐'}</span>
            <span className="hidden">{words}</span>
          </td>
        )
      })}
      <td className={isShort ? 'bad' : undefined}>
        {approvers.quorum} of {members.length}
        {isShort ? ': too few' : ''}
      </td>
    </tr>
  )
}
