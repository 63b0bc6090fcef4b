import { useQueryClient } from '@tanstack/react-query'
import { api } from '../api.ts'
import type { StopAnswer } from '../types.ts'
import { Dialog } from '../ui/dialog.tsx'
import { number } from '../ui/numbers.ts'
import { useSay } from '../ui/say.tsx'
import { Visible } from '../ui/visible.tsx'
import { ReasonField, reasonIn } from './answer-dialogs.tsx'
import { deniedWords, denyMany, waitingOf } from './deny-many.ts'

export interface Stop {
  kind: 'delegation' | 'agent' | 'all' | 'tool-server' | 'approver'
  target: string
  name: string
  /** How many requests of the agent wait. */
  waiting?: number
}

const words: Record<Stop['kind'], { title: string; text: string; action: string }> = {
  delegation: {
    title: 'Withdraw what was passed on',
    text: 'This sub-agent, and everything that it passed on of this task, stops at once and for good. The task itself goes on.',
    action: 'Withdraw it now',
  },
  agent: {
    title: 'Stop this agent',
    text: 'Every grant of this agent, and everything it passed on, stops at once and for good. Later approvals work again.',
    action: 'Stop the agent now',
  },
  all: {
    title: 'Stop everything',
    text: 'Every grant of every agent stops at once and for good. Work continues only under later approvals.',
    action: 'Stop everything now',
  },
  'tool-server': {
    title: 'Stop this tool server',
    text: 'Every grant that names a tool of this server stops at once and for good.',
    action: 'Stop its use now',
  },
  approver: {
    title: 'Void what this person approved',
    text: 'Every grant that this person signed stops at once and for good.',
    action: 'Void it now',
  },
}

/** Stops more than one grant at once. The issuer declares it; the answer comes when it counts. */
export function StopDialog({ stop, onClose, onStopped }: { stop: Stop; onClose(): void; onStopped?(): void }) {
  const client = useQueryClient()
  const say = useSay()
  const { title, text, action } = words[stop.kind]
  const submit = async (data: FormData) => {
    if (stop.kind === 'all' && String(data.get('sure')).trim().toLowerCase() !== 'stop')
      throw new Error('Type “stop” to confirm.')
    const { revoked_sequence } = await api<StopAnswer>('/stops', {
      kind: stop.kind,
      target: stop.target,
      ...reasonIn(data),
    })
    const stopped = `Stopped: revocation ${revoked_sequence} is recorded.`
    if (data.has('deny')) {
      const [words, kind] = deniedWords(await denyMany(await waitingOf(stop.target), reasonIn(data)))
      say(`${stopped} ${words}`, kind)
    } else say(stopped)
    for (const key of ['agents', 'requests', 'calls', 'touched']) void client.invalidateQueries({ queryKey: [key] })
    await client.invalidateQueries({ queryKey: ['grants'] })
    onStopped?.()
  }
  return (
    <Dialog title={title} action={action} danger onSubmit={submit} onClose={onClose}>
      {stop.name === '' ? null : (
        <p>
          <strong>
            <Visible text={stop.name} />
          </strong>
        </p>
      )}
      <p>{text}</p>
      {stop.kind === 'all' ? (
        <label className="field">
          <span>Type “stop” to confirm</span>
          <input name="sure" autoComplete="off" required />
        </label>
      ) : null}
      {stop.waiting ? (
        <label className="check">
          <input type="checkbox" name="deny" defaultChecked />
          Also deny its {stop.waiting === 1 ? 'waiting request' : `${number(stop.waiting)} waiting requests`}
        </label>
      ) : null}
      <ReasonField />
    </Dialog>
  )
}
