import { attachmentTopicOf, type Commitment, commitmentsIn, termOf } from '@bailiwick/contracts'
import type { SaltedText } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { inclusionProof, leafHash, type TileReader, verifyInclusion } from '@bailiwick/tlog'
import {
  type Bundle,
  encodeBundle,
  flatten,
  isAnotherCall,
  type ProvedLeaf,
  type TraceTrust,
  traceOf,
} from '@bailiwick/verify'
import type { LeafPlace } from '../index/find-leaves.ts'
import { gather, type LogView } from '../index/gather.ts'
import type { Published } from '../log/log.ts'
import type { ValueStore } from '../words/value-store.ts'

export interface ProveOptions extends TraceTrust, Pick<LogView, 'index' | 'readLeaf'> {
  readTile: TileReader
  /** The newest checkpoint that the quorum cosigned. If there is none, the newest checkpoint. */
  checkpoint: Published
  /** undefined if the values must not be shown here. */
  values?: Pick<ValueStore, 'find'> | undefined
}

/** The values to include: by the name under which an event holds them, by their salted hash, or `all`. By default none. */
export interface Revealing {
  readonly reveal: readonly string[]
  /** Takes precedence over `reveal`. */
  readonly withhold: readonly string[]
}

/** The limit for one story, and for one entity. */
const mostLeaves = 500
/** Every entry about these is included: the people, the owners of keys, and the required approvers. */
const governing: ReadonlySet<string> = new Set(['service-key', 'rule', 'approver', 'recovery'])

/**
 * The bundle of an action, or of a grant, request or credential. Throws `entity_unknown` for an id that the log does not name, or not yet
 * under the checkpoint, and `request_malformed` for a story that is too long for a bundle.
 */
export async function proveAction(id: string, options: ProveOptions, revealing: Revealing): Promise<string> {
  const { index, readLeaf, registry, trust, checkpoint } = options
  const { found: named, leaves, next } = await gather({ id }, { index, readLeaf, registry }, mostLeaves)
  // The verifier of a bundle does not have the other entries of the tree, and could not see that these lost their places.
  const found = named.filter((leaf) => !leaf.void)
  if (found.length === 0 && named.length > 0)
    throw new ServiceError('entity_unknown', 'it has no effect: another decision point was first. `trace` tells of it')
  if (found.length === 0) throw new ServiceError('entity_unknown', 'the log names no such thing')
  if (next !== undefined) throw new ServiceError('request_malformed', 'too much is known of this: ask for one action')
  const steps = flatten(await traceOf(found, leaves, options))
  const wanted = new Set(steps.map((step) => step.leaf_index))
  const told = leaves.filter((leaf) => wanted.has(leaf.index)).map(({ bytes }) => Buffer.from(bytes).toString('utf8'))
  for (const { type, id: entity } of registry.records())
    if (governing.has(type) || told.some((text) => names(text, entity)))
      for (const place of index.find({ each: [[termOf('id', `${type} ${entity}`)]] }, mostLeaves).leaves)
        wanted.add(place.index)
  // Include the whole genesis: otherwise the verifier could not see that no initial rule was left out, nor trust anything later.
  for (const { type, id: entity } of registry.view().first.slice(0, trust.genesis?.count ?? 0))
    wanted.add(firstLeafOf(`${type} ${entity}`, index))
  const proved: ProvedLeaf[] = []
  for (const at of [...wanted].sort((a, b) => a - b)) proved.push(await proveLeaf(at, options))
  const values = await revealed(
    steps.flatMap(({ data }) => commitmentsIn(data).map((commitment) => ({ ...commitment, data }))),
    revealing,
    options.values,
  )
  const bundle: Bundle = { about: id, trust, checkpoint: checkpoint.note, leaves: proved, values }
  return encodeBundle(bundle)
}

/** The leaf that registered an entity: the oldest of those that name it. */
function firstLeafOf(entity: string, index: ProveOptions['index']): number {
  let oldest: number | undefined
  for (let before: LeafPlace | undefined, more = true; more; ) {
    const { leaves, next } = index.find({ each: [[termOf('id', entity)]], before }, mostLeaves)
    oldest = leaves.at(-1)?.index ?? oldest
    before = next
    more = next !== undefined
  }
  if (oldest === undefined) throw new ServiceError('entity_unknown', 'the log does not hold the whole genesis')
  return oldest
}

/** Refuses to reveal a value that is not available: the caller must not believe that the bundle shows it. */
async function revealed(
  commitments: readonly (Commitment & { data: unknown })[],
  { reveal, withhold }: Revealing,
  values: ProveOptions['values'],
): Promise<SaltedText[]> {
  if (reveal.length === 0) return []
  if (values === undefined) throw new ServiceError('caller_forbidden', 'values are revealed on the operator’s socket')
  for (const name of [...reveal, ...withhold])
    if (name !== 'all' && !commitments.some((commitment) => isNamed(commitment, name)))
      throw new ServiceError('request_malformed', `nothing here is held as a salted hash under the name ${name}`)
  const shown = new Map<string, SaltedText>()
  for (const commitment of commitments) {
    const isNamedBy = (names: readonly string[]) => names.some((name) => isNamed(commitment, name))
    if (!isNamedBy(reveal) || isNamedBy(withhold)) continue
    const { at, salted_sha256: hash, data } = commitment
    const kept = await values.find(attachmentTopicOf(commitment), hash)
    // A verifier would refuse the bundle, but its reader would have seen the text by then.
    if (kept.state === 'held' && isAnotherCall(commitment, kept.text, data))
      throw new ServiceError('value_contradicted', `${at} ${hash}`)
    if (kept.state === 'held') shown.set(hash, { salt: kept.salt, text: kept.text })
    else if (kept.state === 'altered') throw new ServiceError('value_altered', `${at} ${hash}`)
    // `all` reveals the available values. A value that is named must be available.
    else if (!reveal.includes('all')) throw new ServiceError('value_gone', `${at} ${hash}: ${kept.state}`)
  }
  return [...shown.values()]
}

function isNamed({ at, salted_sha256 }: Commitment, name: string): boolean {
  return name === 'all' || name === salted_sha256 || name === at.slice(at.lastIndexOf('/') + 1)
}

/** Whether an event names an entity, or an instance of it. */
function names(event: string, entity: string): boolean {
  const spelt = JSON.stringify(entity).slice(0, -1)
  return event.includes(`${spelt}"`) || event.includes(`${spelt}/`)
}

async function proveLeaf(at: number, { readLeaf, readTile, checkpoint }: ProveOptions): Promise<ProvedLeaf> {
  const bytes = at < checkpoint.size ? await readLeaf(at) : undefined
  if (bytes === undefined) throw new ServiceError('entity_unknown', 'not all of it is under a checkpoint yet')
  const proof = await inclusionProof(readTile, at, checkpoint.size)
  // Trust tiles only as far as they prove what was signed.
  if (!verifyInclusion({ leafHash: leafHash(bytes), index: at, proof }, checkpoint))
    throw new ServiceError('log_inconsistent', `entry ${at} is not in the tree that was signed`)
  return { index: at, proof, bytes }
}
