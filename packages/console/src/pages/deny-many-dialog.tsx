import { useQueryClient } from '@tanstack/react-query'
import { refresh } from '../live.ts'
import type { RequestRow } from '../types.ts'
import { Dialog } from '../ui/dialog.tsx'
import { AgentName, taskWords } from '../ui/parts.tsx'
import { useSay } from '../ui/say.tsx'
import { Visible } from '../ui/visible.tsx'
import { ReasonField, reasonIn } from './answer-dialogs.tsx'
import { deniedWords, denyMany } from './deny-many.ts'

const mostNamed = 12

/** Denies several requests for one reason. There is no such dialog for approving: each approval is a signature of its own. */
export function DenyManyDialog({
  rows,
  onDone,
  onClose,
}: {
  rows: readonly RequestRow[]
  onDone(): void
  onClose(): void
}) {
  const client = useQueryClient()
  const say = useSay()
  const submit = async (data: FormData) => {
    const ids = rows.map(({ id }) => id)
    const done = await denyMany(ids, reasonIn(data))
    say(...deniedWords(done))
    onDone()
    void refresh(client)
  }
  return (
    <Dialog
      title={rows.length === 1 ? 'Deny this request' : `Deny these ${rows.length} requests`}
      action={rows.length === 1 ? 'Deny it' : 'Deny them'}
      danger
      eager="focus"
      onSubmit={submit}
      onClose={onClose}
    >
      <ul className="lines">
        {rows.slice(0, mostNamed).map(({ id, from, kind, subject }) => (
          <li key={id}>
            {from ? <AgentName from={from} /> : 'Registry change'}:{' '}
            <Visible text={kind === 'access' ? taskWords(subject) : subject} />
          </li>
        ))}
        {rows.length > mostNamed ? <li>and {rows.length - mostNamed} more</li> : null}
      </ul>
      <ReasonField hint="Optional, and the same for each. It is stored next to the evidence, and can be erased." />
    </Dialog>
  )
}
