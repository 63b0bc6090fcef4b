import type { Me } from '../types.ts'
import { EntityPage, NewEntityPage } from './entity-page.tsx'
import { RegistryPage } from './registry-page.tsx'
import { ReviewPage } from './review-page.tsx'

/** `/console/registry`, `…/draft` for the change that a person prepares, `…/<type>` for a new entity, `…/<type>/<id>` for one that exists. */
export function Workbench({ type, id, me }: { type: string | undefined; id: string | undefined; me: Me }) {
  if (type === undefined) return <RegistryPage me={me} />
  if (id !== undefined) return <EntityPage key={`${type} ${id}`} type={type} id={id} me={me} />
  return type === 'draft' ? <ReviewPage me={me} /> : <NewEntityPage key={type} type={type} me={me} />
}
