import { type FormEvent, type ReactNode, useEffect, useId, useRef, useState } from 'react'
import { Failed } from './parts.tsx'
import { abandonPasskey, busyWords, usePasskeyPrompt } from './passkey-prompt.ts'
import { problemText } from './problem-text.ts'
import { useSay } from './say.tsx'

interface DialogProps {
  title: string
  children: ReactNode
  action: string
  danger?: boolean
  /** Disables the action: the person can only read, and go back. */
  blocked?: boolean
  /** Once the action is enabled for the first time, it gets the focus (so that Enter does it), or is done. */
  eager?: 'focus' | 'submit' | undefined
  /**
   * The dialog closes when this resolves, unless it resolves to `stay`. If it throws, the error is shown and the dialog
   * stays.
   */
  onSubmit(data: FormData): unknown
  onClose(): void
}

/**
 * The browser's own modal dialog: it keeps the focus inside, gives it back, and closes with Escape. During a passkey
 * prompt, closing ends the ceremony, and nothing is sent. A request that was sent cannot be called back: the dialog
 * stays until the server answers.
 */
export function Dialog({
  title,
  children,
  action,
  danger = false,
  blocked = false,
  eager,
  onSubmit,
  onClose,
}: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null)
  const [busy, setBusy] = useState(false)
  const prompted = usePasskeyPrompt()
  const say = useSay()
  const [problem, setProblem] = useState<{ error: unknown }>()
  const heading = useId()
  useEffect(() => {
    ref.current?.showModal()
  }, [])
  const button = useRef<HTMLButtonElement>(null)
  const waits = useRef(true)
  useEffect(() => {
    // Reads the current warnings: one may have appeared since the dialog opened.
    if (blocked || eager === undefined || !waits.current) return
    waits.current = false
    button.current?.focus()
    if (eager === 'submit') button.current?.form?.requestSubmit()
  }, [blocked, eager])
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const data = new FormData(event.currentTarget)
    setBusy(true)
    setProblem(undefined)
    try {
      if ((await onSubmit(data)) !== 'stay') ref.current?.close()
    } catch (error) {
      // A browser finally lets a person close any dialog. The result of the work is announced anyway.
      if (ref.current?.open || isCancelled(error)) setProblem({ error })
      else say(problemText(error), 'failed')
    } finally {
      setBusy(false)
    }
  }
  const mayClose = () => !busy || abandonPasskey()
  return (
    <dialog
      ref={ref}
      aria-labelledby={heading}
      onCancel={(event) => {
        if (!mayClose()) event.preventDefault()
      }}
      onClose={onClose}
    >
      <form onSubmit={submit} aria-busy={busy}>
        <h2 id={heading}>{title}</h2>
        {children}
        {problem === undefined ? null : <Failed error={problem.error} />}
        <div className="actions">
          <button
            type="button"
            disabled={busy && !prompted}
            onClick={() => {
              if (mayClose()) ref.current?.close()
            }}
          >
            Back
          </button>
          <button ref={button} type="submit" className={danger ? 'danger' : 'primary'} disabled={busy || blocked}>
            {busy ? busyWords(prompted) : action}
          </button>
        </div>
      </form>
    </dialog>
  )
}

function isCancelled(error: unknown): boolean {
  return error instanceof DOMException && ['NotAllowedError', 'AbortError'].includes(error.name)
}
