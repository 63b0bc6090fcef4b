import { Link } from '../router.tsx'
import type { EntityDraft } from './drafts.ts'

/** Says that this person has begun a change, on every page of the workbench. */
export function DraftBar({ drafts }: { drafts: readonly EntityDraft[] }) {
  if (drafts.length === 0) return null
  return (
    <p className="note draft-bar" role="status">
      You changed {drafts.length === 1 ? 'one entry' : `${drafts.length} entries`}, and proposed nothing yet.{' '}
      <Link to="/console/registry/draft">Review and propose</Link>
    </p>
  )
}
