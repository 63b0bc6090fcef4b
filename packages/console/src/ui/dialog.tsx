import { type FormEvent, type ReactNode, useEffect, useId, useRef, useState } from 'react'

interface DialogProps {
  title: string
  children: ReactNode
  action: string
  /** What the button says while it is done. */
  busyAction?: string
  danger?: boolean
  /** Nothing can be done in it but read, and go back. */
  blocked?: boolean
  /** Closes when it resolves, unless with `stay`; what it throws is shown, and the dialog stays. */
  onSubmit(data: FormData): unknown
  onClose(): void
}

/** The browser's own modal dialog: it keeps the focus inside, gives it back, and closes with Escape. */
export function Dialog({
  title,
  children,
  action,
  busyAction = action,
  danger = false,
  blocked = false,
  onSubmit,
  onClose,
}: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null)
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState<string>()
  const heading = useId()
  useEffect(() => {
    ref.current?.showModal()
  }, [])
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const data = new FormData(event.currentTarget)
    setBusy(true)
    setProblem(undefined)
    try {
      if ((await onSubmit(data)) !== 'stay') ref.current?.close()
    } catch (error) {
      setProblem(problemText(error))
    } finally {
      setBusy(false)
    }
  }
  return (
    <dialog ref={ref} aria-labelledby={heading} onClose={onClose}>
      <form onSubmit={submit} aria-busy={busy}>
        <h2 id={heading}>{title}</h2>
        {children}
        {problem === undefined ? null : (
          <p className="note bad" role="alert">
            {problem}
          </p>
        )}
        <div className="actions">
          <button type="button" onClick={() => ref.current?.close()}>
            Back
          </button>
          <button type="submit" className={danger ? 'danger' : 'primary'} disabled={busy || blocked}>
            {busy ? busyAction : action}
          </button>
        </div>
      </form>
    </dialog>
  )
}

/** The browser says no more than that nothing was signed: it does not tell a refusal from a key that is not there. */
export function problemText(error: unknown): string {
  const name = error instanceof DOMException ? error.name : ''
  if (name === 'NotAllowedError' || name === 'AbortError')
    return 'Nothing was signed: the passkey was refused, or did not verify that it is you. Try again.'
  return error instanceof Error ? error.message : String(error)
}
