import { useQuery } from '@tanstack/react-query'
import { type Checked, type ExactAction, exactAction } from '../exact-action.ts'
import type { Arguments } from '../types.ts'
import { Visible } from '../ui/visible.tsx'

/** The page's own check of a text against a digest; undefined while it runs, or without a text. */
export function useExactAction(text: string | undefined, digest: string | undefined): Checked | undefined {
  return useQuery({
    queryKey: ['exact action', digest, text],
    queryFn: () => exactAction(text ?? '', digest ?? ''),
    enabled: text !== undefined && digest !== undefined,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
  }).data
}

/** The arguments of one exact action, next to its digest; or why they cannot be shown, and what that means. */
export function ExactArguments({ digest, handed }: { digest: string; handed: Arguments | null }) {
  const checked = useExactAction(handed !== null && 'text' in handed ? handed.text : undefined, digest)
  if (handed === null)
    return (
      <>
        <p className="note warn">
          The agent sent only a digest. If you sign, you sign without seeing the arguments of this action.
        </p>
        <Digest digest={digest} />
      </>
    )
  if ('gone' in handed)
    return (
      <p className="note bad">
        {handed.gone === 'erased' ? 'The arguments were erased.' : 'The arguments are no longer kept here.'} The request
        can only be denied.
      </p>
    )
  if (checked === undefined) return <p aria-busy="true">Checking the arguments …</p>
  if (!checked.ok) return <Refused why={checked.why} digest={digest} />
  return (
    <>
      <Action action={checked.action} />
      <Digest digest={digest}>This page checked that the digest is the SHA-256 of exactly this action.</Digest>
    </>
  )
}

function Refused({ why, digest }: { why: string; digest: string }) {
  return (
    <>
      <p className="note bad" role="alert">
        The arguments that the server sent are not shown. {why} Do not sign: they were changed between the agent and
        this page.
      </p>
      <Digest digest={digest} />
    </>
  )
}

function Digest({ digest, children }: { digest: string; children?: string }) {
  return (
    <p className="id">
      {children ? `${children} ` : ''}Digest <code>{digest}</code>
    </p>
  )
}

function Action({ action: { name, resource, properties, isOpaque } }: { action: ExactAction }) {
  return (
    <section className="exact" aria-label="The exact action">
      <p>
        <strong>
          <Visible text={name} />
        </strong>{' '}
        on {/^[a-z]+$/.test(resource.type) ? resource.type : <Visible text={JSON.stringify(resource.type)} />}{' '}
        <strong>
          <Visible text={resource.id} />
        </strong>
      </p>
      {isOpaque ? (
        <p className="note warn">
          Its body is not JSON, so its content cannot be shown: you would sign only a hash of the body.
        </p>
      ) : null}
      {Object.keys(properties).length === 0 ? (
        <p className="hint">It has no arguments.</p>
      ) : (
        <Value value={properties} />
      )}
    </section>
  )
}

/**
 * Any JSON value. A string is in quotes, or in a frame if it has several lines, so that it cannot pass for the page's
 * own words.
 */
function Value({ value }: { value: unknown }) {
  if (Array.isArray(value)) return <Members entries={value.map((each, n) => [`${n + 1}.`, each])} none="empty list" />
  if (typeof value === 'object' && value !== null)
    return <Members entries={Object.entries(value).map(([key, each]) => [keyWords(key), each])} none="empty object" />
  if (typeof value === 'string' && value.includes('\n'))
    return (
      <blockquote className="json-text">
        <Visible text={value} lines />
      </blockquote>
    )
  return (
    <code className={typeof value === 'string' ? 'json-string' : 'json-other'}>
      <Visible text={JSON.stringify(value)} />
    </code>
  )
}

function Members({ entries, none }: { entries: [string, unknown][]; none: string }) {
  if (entries.length === 0) return <span className="hint">{none}</span>
  return (
    <dl className="json">
      {entries.map(([key, value]) => (
        <div key={key} className={isNested(value) ? 'nested' : ''}>
          <dt>
            <Visible text={key} />
          </dt>
          <dd>
            <Value value={value} />
          </dd>
        </div>
      ))}
    </dl>
  )
}

/** Shown below its key rather than beside it, so that deep nesting stays readable. */
const isNested = (value: unknown) =>
  (typeof value === 'object' && value !== null && Object.keys(value).length > 0) ||
  (typeof value === 'string' && value.includes('\n'))

/** A key that is more than a name is in quotes, so that it cannot pass for the page's own words. */
const keyWords = (key: string) => (/^[A-Za-z0-9._-]+$/.test(key) ? key : JSON.stringify(key))
