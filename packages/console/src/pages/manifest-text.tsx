import { useMemo, useState } from 'react'
import type { ManifestChange } from '../types.ts'
import { leafDifference } from '../ui/leaf-difference.ts'
import { Visible } from '../ui/visible.tsx'
import { Difference, type DiffLine } from './evidence.tsx'

type Things = Record<string, unknown>
interface Manifest {
  identity: unknown
  server_info: unknown
  instructions: unknown
  tools: Things
  prompts: Things
  templates: Things
}

const parts = [
  ['identity', 'Who the server is'],
  ['server_info', 'Its name and version'],
  ['instructions', 'Its instructions to a model'],
] as const
const kinds = [
  ['tools', 'Tool'],
  ['prompts', 'Prompt'],
  ['templates', 'Resource template'],
] as const

interface Changed {
  title: string
  /** The name of a tool, prompt or template: the server chose it. */
  name?: string
  word: 'new' | 'gone' | 'changed'
  lines: DiffLine[]
}

/** What a server of tools says of itself: each thing that differs, and then all of it. The server wrote every word. */
export function ManifestText({ manifest: { before, after, look_alikes } }: { manifest: ManifestChange }) {
  // Drawn only for those who look: a server can make it long.
  const [isOpen, setIsOpen] = useState(false)
  const { then, now, changes } = useMemo(() => {
    const now = JSON.parse(after) as Manifest
    const then = before === null ? null : (JSON.parse(before) as Manifest)
    return { then, now, changes: changesOf(then, now) }
  }, [before, after])
  return (
    <div className="policy-text">
      <h4>What the server says of itself</h4>
      <p className="hint">
        {summary(changes)} The server wrote this text, and a model reads it as instructions. No person has checked it.
      </p>
      {then === null ? (
        <p className="note warn">
          The description that people approved before is not here: all of the new one is shown.
        </p>
      ) : null}
      {look_alikes.map((names) => (
        <p key={names.join()} className="note warn">
          These tools look alike: <Visible text={names.join(', ')} />
        </p>
      ))}
      {changes.map(({ title, name, word, lines }) => (
        <section key={`${title} ${name}`} aria-label={[title, name, word].filter(Boolean).join(' ')}>
          <h5>
            {title} {name === undefined ? null : <Visible text={name} />} <span className="table-note">{word}</span>
          </h5>
          <Difference lines={lines} />
        </section>
      ))}
      <details onToggle={({ currentTarget }) => setIsOpen(currentTarget.open)}>
        <summary>All that it says</summary>
        {isOpen ? (
          <pre>
            <Visible text={JSON.stringify(now, undefined, 2)} lines />
          </pre>
        ) : null}
      </details>
    </div>
  )
}

function changesOf(then: Manifest | null, now: Manifest): Changed[] {
  const whole = parts.flatMap(([part, title]): Changed[] => {
    const lines = leafDifference(then?.[part] ?? null, now[part] ?? null)
    return lines.length === 0 ? [] : [{ title, word: then === null ? 'new' : 'changed', lines }]
  })
  const each = kinds.flatMap(([kind, title]) => {
    const [was, is] = [then?.[kind] ?? {}, now[kind]]
    const names = [...new Set([...Object.keys(was), ...Object.keys(is)])].sort()
    return names.flatMap((name): Changed[] => {
      const [had, has] = [Object.hasOwn(was, name), Object.hasOwn(is, name)]
      const lines = leafDifference(had ? was[name] : null, has ? is[name] : null)
      if (lines.length === 0 && had === has) return []
      return [{ title, name, word: !had ? 'new' : has ? 'changed' : 'gone', lines }]
    })
  })
  return [...whole, ...each]
}

function summary(changes: Changed[]): string {
  const count = (word: Changed['word']) => changes.filter((each) => each.word === word).length
  const words = (['new', 'gone', 'changed'] as const).filter((word) => count(word) > 0)
  return `${words.map((word) => `${count(word)} ${word}`).join(', ') || 'Nothing differs'}.`
}
