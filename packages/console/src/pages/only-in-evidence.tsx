import { useQuery } from '@tanstack/react-query'
import { api, Problem } from '../api.ts'
import { Link } from '../router.tsx'
import type { Trace } from '../types.ts'
import { Failed, Loading } from '../ui/parts.tsx'
import { When } from '../ui/time.tsx'
import { Visible } from '../ui/visible.tsx'
import { gistOf, wordsOf } from './event-words.ts'

/**
 * The approval service keeps an ended request for some hours, and evidence keeps it for good. The page says how the
 * request ended, or that it does not exist.
 */
export function OnlyInEvidence({ id }: { id: string }) {
  const story = useQuery({
    queryKey: ['trace', id, 'request'],
    queryFn: () => api<Trace>(`/evidence/trace/${encodeURIComponent(id)}`),
  })
  const isUnknown = story.error instanceof Problem && [400, 404].includes(story.error.status)
  if (story.isPending) return <Loading />
  const about = story.data?.steps.filter(({ type }) => type.startsWith('request.')) ?? []
  const title = isUnknown ? 'There is no such request.' : 'This request ended a while ago.'
  return (
    <>
      <h1>{story.error && !isUnknown ? 'This request cannot be shown now.' : title}</h1>
      {story.error && !isUnknown ? (
        <>
          <p>It may have ended some hours ago. Evidence, which keeps every request, does not answer now.</p>
          <Failed error={story.error} />
        </>
      ) : null}
      {about.length > 0 ? (
        <ul className="lines">
          {about.map((step) => (
            <li key={step.leaf_index}>
              <strong>{wordsOf(step.type)}</strong> <Visible text={gistOf(step)} /> <When iso={step.time} />
            </li>
          ))}
        </ul>
      ) : null}
      {story.data ? (
        <p>
          <Link to={`/console/evidence/${encodeURIComponent(id)}`}>Everything that evidence has about it</Link>
        </p>
      ) : null}
      <p className="crumb">
        <Link to="/console/inbox">← Inbox</Link>
      </p>
    </>
  )
}
