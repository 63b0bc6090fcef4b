import type { Authority } from '../types.ts'
import { Lines } from '../ui/parts.tsx'
import { Visible } from '../ui/visible.tsx'
import { type Permission, permissionWords } from './permission-words.ts'

/** Permissions in plain words, each with the labels of what it may reach; their exact form is one click away. */
export function Permissions({
  permissions,
  lines,
  labels,
  once,
}: {
  permissions: readonly Permission[]
  /** The exact form of each. */
  lines: readonly string[]
  labels: readonly (string[] | null)[]
  /** Whether it covers one exact action only. */
  once: boolean
}) {
  const exact = lines.slice(0, permissions.length)
  return (
    <>
      <ul className="lines permissions">
        {permissions.map((permission, n) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: permissions are known by their place
          <li key={n}>
            <InWords permission={permission} exact={exact[n] ?? ''} once={once} />
            <span className="labels">
              {(labels[n] ?? ['not described']).map((label) => (
                <span key={label} className={`label label-${label.replaceAll(' ', '-')}`}>
                  {label.replaceAll('_', ' ')}
                </span>
              ))}
            </span>
          </li>
        ))}
      </ul>
      <details className="exact-form">
        <summary>Exact form</summary>
        <Lines lines={exact} />
        <pre>
          <Visible text={JSON.stringify(permissions, null, 2)} lines />
        </pre>
      </details>
    </>
  )
}

function InWords({ permission, exact, once }: { permission: Permission; exact: string; once: boolean }) {
  const words = permissionWords(permission, { once })
  if (words !== undefined) return <Visible text={words} />
  return (
    <span>
      <Visible text={exact} />
      <small className="no-words">This has no plain words: it is the exact form.</small>
    </span>
  )
}

/** What a statement permits: the task, each permission in plain words with its exact form below it, then every limit. */
export function PermittedLines({ authority, lines, once }: { authority: Authority; lines: string[]; once: boolean }) {
  const { permissions } = authority
  return (
    <ul className="lines" aria-label="What you approve">
      {lines.map((line, n) => {
        const permission = permissions[n - 1] // the first line is the task
        const words = permission === undefined ? undefined : permissionWords(permission, { once })
        return (
          // biome-ignore lint/suspicious/noArrayIndexKey: lines have no identity, and never change place
          <li key={n}>
            {words === undefined ? null : (
              <strong className="in-words">
                <Visible text={words} />
              </strong>
            )}
            <Visible text={line} />
          </li>
        )
      })}
    </ul>
  )
}
