import { type FormEvent, type ReactNode, useState } from 'react'
import { Failed } from './parts.tsx'
import { busyWords, usePasskeyPrompt } from './passkey-prompt.ts'
import { useTitle } from './title.ts'
import { Visible } from './visible.tsx'

interface CeremonyProps {
  title: string
  action: string
  /** The text and fields before the button. */
  children: ReactNode
  /** Other options, below the button. */
  after?: ReactNode
  /** If it throws, the error is shown and the form stays. */
  onSubmit(data: FormData): Promise<void>
}

/** A form that is answered with a passkey: to enrol, to join, to recover, to sign in. */
export function Ceremony({ title, action, children, after, onSubmit }: CeremonyProps) {
  useTitle(title)
  const [busy, setBusy] = useState(false)
  const prompted = usePasskeyPrompt()
  const [problem, setProblem] = useState<{ error: unknown }>()
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const data = new FormData(event.currentTarget)
    setBusy(true)
    setProblem(undefined)
    try {
      await onSubmit(data)
    } catch (error) {
      setProblem({ error })
    } finally {
      setBusy(false)
    }
  }
  return (
    <form onSubmit={submit} aria-busy={busy}>
      <h1>
        <Visible text={title} />
      </h1>
      {children}
      {problem === undefined ? null : <Failed error={problem.error} />}
      <button type="submit" className="primary wide" disabled={busy}>
        {busy ? busyWords(prompted) : action}
      </button>
      {after}
    </form>
  )
}
