import type { PolicyChange } from '../types.ts'
import { lineDiff, type TextLine } from '../ui/line-diff.ts'
import { Visible } from '../ui/visible.tsx'

/** The number of unchanged lines shown around a difference. */
const around = 3
const signs = { added: '+', removed: '−', kept: ' ' } as const

/** The text of a policy set, file by file: first the differences, and the whole text below them. */
export function PolicyText({ text: { before, after } }: { text: PolicyChange }) {
  if (after === null) return null
  const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after)])].sort()
  return (
    <div className="policy-text">
      {before === null ? <p className="note warn">What the set before says is not here: all of it is shown.</p> : null}
      {names.map((name) => (
        <File key={name} name={name} before={before?.[name]} after={after[name]} />
      ))}
    </div>
  )
}

function File({ name, before, after }: { name: string; before: string | undefined; after: string | undefined }) {
  const word = before === after ? 'as before' : before === undefined ? 'new' : after === undefined ? 'gone' : 'changed'
  const lines = changed(before, after)
  return (
    <section aria-label={`${name}, ${word}`}>
      <h4>
        <Visible text={name} /> <span className="table-note">{word}</span>
      </h4>
      {lines.length > 0 ? <Lines lines={lines} /> : null}
      {before === undefined || after === undefined ? null : (
        <details>
          <summary>The whole file</summary>
          <pre>
            <Visible text={after} lines />
          </pre>
        </details>
      )}
    </section>
  )
}

function changed(before: string | undefined, after: string | undefined): TextLine[] {
  if (before === after) return []
  const whole = (word: 'removed' | 'added', text = '') => text.split('\n').map((line): TextLine => [word, line])
  if (before === undefined) return whole('added', after)
  return after === undefined ? whole('removed', before) : lineDiff(before, after)
}

function Lines({ lines }: { lines: TextLine[] }) {
  const near = (n: number) => lines.slice(Math.max(0, n - around), n + around + 1).some(([word]) => word !== 'kept')
  return (
    <ul className="lines diff text">
      {lines.map(([word, text], n) =>
        near(n) ? (
          // biome-ignore lint/suspicious/noArrayIndexKey: lines have no identity, and never change place
          <li key={n} className={word}>
            <span className="sign" aria-hidden="true">
              {signs[word]}
            </span>
            {word === 'kept' ? null : <span className="hidden">{word}: </span>}
            <Visible text={text} />
          </li>
        ) : near(n - 1) ? (
          // biome-ignore lint/suspicious/noArrayIndexKey: as above
          <li key={n} className="kept">
            …
          </li>
        ) : null,
      )}
    </ul>
  )
}
