import { useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { enrolFirst, type Invitation } from '../ceremonies.ts'
import type { Hello } from '../types.ts'
import { problemText } from '../ui/dialog.tsx'
import { Outside } from '../ui/outside.tsx'
import { useSay } from '../ui/say.tsx'

/** The first approver's enrolment, by the invitation of `bailiwick init`. */
export function Welcome({
  invitation,
  hello,
  onEnrolled,
}: {
  invitation: Extract<Invitation, { kind: 'invitation' }>
  hello: Hello
  onEnrolled(): void
}) {
  const client = useQueryClient()
  const say = useSay()
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState<string>()
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const data = new FormData(event.currentTarget)
    setBusy(true)
    setProblem(undefined)
    try {
      await enrolFirst(invitation, String(data.get('id')), String(data.get('name')))
      await client.refetchQueries({ queryKey: ['hello'] })
      say('You are enrolled.')
      onEnrolled()
    } catch (error) {
      setProblem(problemText(error))
      setBusy(false)
    }
  }
  return (
    <Outside hello={hello}>
      <form onSubmit={submit} aria-busy={busy}>
        <h1>Become the first approver</h1>
        <p>
          The invitation that you opened makes one passkey the first approver’s, once. It stays in this browser; it is
          not sent.
        </p>
        <label className="field">
          <span>Approver id</span>
          <input name="id" required defaultValue="owner" autoComplete="off" maxLength={255} />
          <small>How the registry and the evidence name you</small>
        </label>
        <label className="field">
          <span>Your name</span>
          <input name="name" required autoComplete="name" maxLength={200} />
        </label>
        {problem === undefined ? null : (
          <p className="note bad" role="alert">
            {problem}
          </p>
        )}
        <div className="actions">
          <button type="submit" className="primary wide" disabled={busy}>
            Create passkey and enrol
          </button>
        </div>
      </form>
    </Outside>
  )
}
