import { useEffect, useState } from 'react'
import { Visible } from './visible.tsx'

const shownMs = 2000

/** Copies a text that people take elsewhere. `what`: its name, for those who do not see where the button stands. */
export function Copy({ text, what }: { text: string; what: string }) {
  const [result, setResult] = useState<'copied' | 'refused'>()
  useEffect(() => {
    if (result === undefined) return
    const timer = setTimeout(() => setResult(undefined), shownMs)
    return () => clearTimeout(timer)
  }, [result])
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => setResult('copied'),
      () => setResult('refused'), // the browser does not let the page write to the clipboard
    )
  return (
    <>
      <button type="button" className="copy" title={`Copy ${what}`} onClick={() => void copy()}>
        <svg aria-hidden="true" viewBox="0 0 16 16" width="14" height="14">
          {result === 'copied' ? <path d="M3 8.5 6.5 12 13 4.5" /> : <path d="M5.5 5.5h7v8h-7zM3.5 10.5v-8h7" />}
        </svg>
        <span className="hidden">Copy {what}</span>
      </button>
      <span className="hidden" role="status">
        {result === undefined ? '' : result === 'copied' ? 'Copied.' : 'Not copied: mark the text and copy it.'}
      </span>
    </>
  )
}

/** An id with a button that copies it. */
export function Copied({ text, what }: { text: string; what: string }) {
  return (
    <>
      <code>
        <Visible text={text} />
      </code>{' '}
      <Copy text={text} what={what} />
    </>
  )
}
