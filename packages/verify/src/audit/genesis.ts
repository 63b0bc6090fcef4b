import type { Trust } from '@bailiwick/credentials'
import { canonical } from './canonical.ts'
import { type Finding, type Leaf, onTopic, sha256 } from './leaf.ts'

/**
 * The log's registry begins with exactly the genesis that trust.json signs: none omitted, none added, in its order
 * (V3). Computed from the leaves alone, whether they count or not. A trust.json of an earlier version does not state
 * its genesis.
 */
export function genesisFindings(leaves: readonly Leaf[], { genesis, installation }: Trust): Finding[] {
  if (genesis === undefined) return []
  const seen = new Set<string>()
  const statements: string[] = []
  for (const { event } of onTopic(leaves, 'registry.v1')) {
    const { entity, authorization } = event.data
    const name = `${entity.type} ${entity.id}`
    if (authorization.kind !== 'root' || seen.has(name)) continue // another instance was first
    seen.add(name)
    if (statements.length === genesis.count) break
    const after = 'value' in event.data ? sha256(canonical(event.data.value)) : ''
    const { type: entity_type, id: entity_id } = entity
    statements.push(canonical({ installation, entity_type, entity_id, version: event.version, after }))
  }
  const said =
    statements.length < genesis.count
      ? `${statements.length} entities of the genesis, where trust.json signs ${genesis.count}`
      : sha256(`[${statements.join()}]`) === genesis.sha256
        ? undefined
        : 'another genesis, or in another order, than trust.json signs'
  return said === undefined ? [] : [{ leaf: -1, rule: 'V3', detail: said }]
}
