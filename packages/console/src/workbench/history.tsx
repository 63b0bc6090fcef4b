import { useInfiniteQuery } from '@tanstack/react-query'
import { api, query } from '../api.ts'
import { Difference } from '../pages/evidence.tsx'
import { Link } from '../router.tsx'
import type { EntityVersion, ReadEntityAnswer } from '../types.ts'
import { leafDifference } from '../ui/leaf-difference.ts'
import { Failed, Loading } from '../ui/parts.tsx'
import { When } from '../ui/time.tsx'
import { Visible } from '../ui/visible.tsx'

export const entityApi = (type: string, id: string): string => `/registry/${type}/${encodeURIComponent(id)}`

/** Every version of an entity, newest first: what changed, who signed it, and where evidence has it. */
export function History({ type, id }: { type: string; id: string }) {
  const pages = useInfiniteQuery({
    queryKey: ['registry', 'one', type, id, 'history'],
    initialPageParam: '',
    queryFn: ({ pageParam }) => api<ReadEntityAnswer>(`${entityApi(type, id)}${query({ before: pageParam })}`),
    getNextPageParam: ({ older, versions }) => (older > 0 ? String(versions.at(-1)?.version ?? '') : undefined),
  })
  const versions = pages.data?.pages.flatMap(({ versions }) => versions) ?? []
  return (
    <>
      {pages.isPending ? <Loading /> : null}
      {pages.error ? <Failed error={pages.error} /> : null}
      <ol className="history" aria-label="Versions, newest first">
        {versions.map((version) => (
          <li key={version.version}>
            <Version version={version} />
          </li>
        ))}
      </ol>
      {pages.hasNextPage ? (
        <button
          type="button"
          className="wide"
          disabled={pages.isFetchingNextPage}
          onClick={() => void pages.fetchNextPage()}
        >
          Older versions
        </button>
      ) : null}
    </>
  )
}

const verbs = { register: 'Registered', change: 'Changed', retire: 'Retired' }

function Version({ version: { version, at, verb, effect, before, after, event_id, by } }: { version: EntityVersion }) {
  const lines = verb === 'register' ? [] : leafDifference(before, after)
  return (
    <article>
      <h3>
        Version {version}: {verbs[verb]} <When iso={at} />
      </h3>
      <p>
        <SignedBy by={by} />
      </p>
      <p className="sentence">
        <Visible text={effect} />
      </p>
      {lines.length === 0 ? null : (
        <details>
          <summary>What differs, member by member</summary>
          <Difference lines={lines} />
        </details>
      )}
      <p className="table-note">
        {by.request_id === null ? null : (
          <>
            <Link to={`/console/requests/${by.request_id}`}>The request</Link>
            {' · '}
          </>
        )}
        <Link to={`/console/evidence/${event_id}`}>In evidence</Link>
      </p>
    </article>
  )
}

const others: Record<string, string> = {
  root: 'Signed by the root key, when the installation was made',
  invitation: 'Signed by the invitation key, which lets in the first approver',
  recovery: 'Signed by the key of a recovery',
  issuer: 'Said by the issuer, of a key that the root key certified',
}

function SignedBy({ by: { kind, signers, proposer } }: { by: EntityVersion['by'] }) {
  if (kind !== 'approvers') return others[kind] ?? kind
  return (
    <>
      Signed by{' '}
      <strong>
        <Visible text={signers.map(({ id, name }) => `${name} (${id})`).join(' and ')} />
      </strong>
      {proposer === null ? null : (
        <>
          , proposed by <Visible text={proposer} />
        </>
      )}
    </>
  )
}
