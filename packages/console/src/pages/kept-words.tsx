import { useQuery } from '@tanstack/react-query'
import { api, Problem } from '../api.ts'
import type { ShownValue } from '../types.ts'
import { Failed, Loading } from '../ui/parts.tsx'
import { When } from '../ui/time.tsx'
import { Visible } from '../ui/visible.tsx'

const names: Readonly<Record<string, string>> = {
  '/purpose': 'In the agent’s own words',
  '/reason': 'The reason that was given',
  '/arguments': 'The arguments that were shown',
  '/action/call': 'The whole call',
}

/** Whether an event holds a text as a salted hash, somewhere in its data. */
export const commitsToWords = (data: unknown): boolean =>
  typeof data === 'object' &&
  data !== null &&
  ('salted_sha256' in data || Object.values(data).some((member) => commitsToWords(member)))

/** The words that an event holds as salted hashes, as evidence keeps them beside the log; or why they are not there. */
export function KeptWords({ eventId }: { eventId: string }) {
  const found = useQuery({
    queryKey: ['words', eventId],
    queryFn: () => api<{ values: ShownValue[] }>(`/evidence/values/${encodeURIComponent(eventId)}`),
    staleTime: 60_000,
  })
  if (found.isPending) return <Loading />
  if (found.error instanceof Problem && found.error.status === 404)
    return (
      <p className="hint">
        Evidence is on another machine, and gives words only there: <code>bailiwick trace {eventId}</code>
      </p>
    )
  if (found.error) return <Failed error={found.error} />
  return found.data.values.map((value) => (
    <figure key={value.at} className="prose kept">
      <figcaption>{names[value.at] ?? value.at}</figcaption>
      {value.state === 'held' ? (
        <blockquote>
          <Visible text={readable(value.text ?? '')} lines />
        </blockquote>
      ) : (
        <p className="hint">
          <Gone value={value} />
        </p>
      )}
    </figure>
  ))
}

function Gone({ value: { state, erased_at, by } }: { value: ShownValue }) {
  if (state === 'erased')
    return (
      <>
        Erased{by === undefined ? '' : ' by '}
        <Visible text={by ?? ''} /> {erased_at === undefined ? null : <When iso={erased_at} />}
      </>
    )
  if (state === 'unkept') return 'Not kept here: only the enforcement point got it.'
  if (state === 'altered') return 'The kept text is not the one that the event committed to. Someone changed it.'
  if (state === 'contradicted') return 'The kept call is not the one that the event tells of. It proves nothing.'
  return 'No longer kept.'
}

/** A call is canonical JSON, which is hard to read in one line. */
function readable(text: string): string {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? JSON.stringify(value, null, 2) : text
  } catch {
    return text
  }
}
