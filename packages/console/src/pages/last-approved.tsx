import { Link } from '../router.tsx'
import type { AccessDetail } from '../types.ts'
import { Card, StateBadge, taskWords } from '../ui/parts.tsx'
import { Ago } from '../ui/time.tsx'
import { Visible } from '../ui/visible.tsx'
import { Difference, goneThenNew } from './evidence.tsx'
import { type Permission, permissionWords } from './permission-words.ts'

const relations = {
  same: 'It asks exactly what was approved then.',
  narrower: 'It asks less than was approved then.',
  wider: 'It asks more than was approved then.',
  different: 'It asks other things than were approved then.',
} as const

/** What people last signed for this agent, and what this request asks for beyond that. */
export function LastApproved({ request }: { request: AccessDetail }) {
  const { last_approved: last, authority, lines } = request
  if (last === null)
    return (
      <Card title="Last approved">
        <p className="hint">Nothing was approved lately for this agent and this task, or for the same tools.</p>
      </Card>
    )
  const inWords = (line: string) =>
    wordsOf(line, last) ?? wordsOf(line, { permissions: authority?.permissions ?? [], lines, once: last.once }) ?? line
  const { id, state, at, by, narrowed, same_task, task, relation, added, removed } = last
  const isMore = relation === 'wider' || relation === 'different'
  return (
    <Card title="Last approved" aside={<StateBadge state={state} />} className={isMore && same_task ? 'wider' : ''}>
      <p>
        <strong>{relations[relation]}</strong>{' '}
        <Link to={`/console/requests/${id}`}>
          By <Visible text={by.join(', ')} />, <Ago iso={at} />
        </Link>
        {narrowed ? ', for less than it asked' : ''}
        {same_task ? (
          '.'
        ) : (
          <>
            , for the task <Visible text={taskWords(task)} />.
          </>
        )}
      </p>
      <Difference lines={goneThenNew(removed.map(inWords), added.map(inWords))} />
    </Card>
  )
}

/** The words of the permission with this exact line. */
function wordsOf(
  line: string,
  { permissions, lines, once }: { permissions: readonly Permission[]; lines: readonly string[]; once: boolean },
) {
  const permission = permissions[lines.indexOf(line)]
  return permission && permissionWords(permission, { once })
}

const headlines = {
  same: 'Asks exactly what was last approved',
  narrower: 'Asks less than was last approved',
  wider: 'Asks more than was last approved',
  different: 'Asks other things than were last approved',
} as const

/** One line for the head of the page, if the newest earlier ask is not the approved one. */
export function SinceApproved({ request: { last_approved: last, earlier } }: { request: AccessDetail }) {
  if (last === null || !last.same_task || last.id === earlier?.id) return null
  const isMore = last.relation === 'wider' || last.relation === 'different'
  return <p className={isMore ? 'since more' : 'since'}>{headlines[last.relation]} for this task.</p>
}
