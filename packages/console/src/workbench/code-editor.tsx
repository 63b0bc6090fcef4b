import { useId, useMemo } from 'react'
import { cedarTokens, unseenIn } from './cedar-tokens.ts'

/** A plain text field above a coloured copy of its text. People type into the field; the copy is only a picture. */
export function CodeEditor({
  label,
  text,
  marked = [],
  onChange,
}: {
  label: string
  text: string
  /** Lines with a finding, counted from 1. */
  marked?: readonly number[]
  onChange(text: string): void
}) {
  const id = useId()
  const lines = useMemo(() => text.split('\n').map(cedarTokens), [text])
  const unseen = useMemo(() => unseenIn(text), [text])
  return (
    <>
      <div className="editor">
        <pre className="paint" aria-hidden="true">
          {lines.map((tokens, n) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: a line is its number
            <span key={n} className={marked.includes(n + 1) ? 'code-line marked' : 'code-line'}>
              {tokens.map(({ kind, text }, k) =>
                kind === 'plain' ? (
                  text
                ) : (
                  // biome-ignore lint/suspicious/noArrayIndexKey: a token is its place
                  <span key={k} className={`code-${kind}`}>
                    {text}
                  </span>
                ),
              )}
              {'\n'}
            </span>
          ))}
        </pre>
        <textarea
          id={id}
          aria-label={label}
          value={text}
          spellCheck={false}
          autoComplete="off"
          autoCapitalize="off"
          rows={Math.max(6, lines.length)}
          onChange={({ currentTarget }) => onChange(currentTarget.value)}
        />
      </div>
      {unseen.slice(0, 5).map(({ line, code }) => (
        <p key={line} className="note warn">
          Line {line} has a character that cannot be seen: {code}.
        </p>
      ))}
    </>
  )
}
