import { type FormEvent, useState } from 'react'
import { signIn } from '../ceremonies.ts'
import type { Hello } from '../types.ts'
import { problemText } from '../ui/dialog.tsx'
import { Outside } from '../ui/outside.tsx'

/** Sign-in. The address stays, so whoever was thrown out comes back to where they were. */
export function Door({
  hello,
  invited,
  ended,
  onEntered,
}: {
  hello: Hello
  invited: boolean
  ended: boolean
  onEntered(): void
}) {
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState<string>()
  const enter = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const id = String(new FormData(event.currentTarget).get('id') ?? '')
    setBusy(true)
    try {
      await signIn(id)
      onEntered()
    } catch (error) {
      setProblem(problemText(error))
    } finally {
      setBusy(false)
    }
  }
  return (
    <Outside hello={hello}>
      <form onSubmit={enter}>
        <h1>Sign in</h1>
        {ended ? <p className="note">Your session ended. Sign in to go on where you were; nothing was lost.</p> : null}
        {invited ? <p className="note">The invitation was used already.</p> : null}
        <p>What agents ask for, and what was approved, is shown to approvers only.</p>
        {problem === undefined ? null : (
          <p className="note bad" role="alert">
            {problem}
          </p>
        )}
        <div className="actions">
          <button type="submit" className="primary wide" disabled={busy}>
            Sign in with passkey
          </button>
        </div>
        <details>
          <summary>My security key keeps no list of passkeys</summary>
          <label className="field">
            <span>Approver id</span>
            <input name="id" autoComplete="username" maxLength={255} />
          </label>
        </details>
      </form>
    </Outside>
  )
}
