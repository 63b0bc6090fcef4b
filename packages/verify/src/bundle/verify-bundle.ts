import { type Commitment, commitmentsIn, termsOf } from '@bailiwick/contracts'
import { KeyRing, saltedHash } from '@bailiwick/credentials'
import { toProblem } from '@bailiwick/errors'
import { judgeByAnchor, RegistryState } from '@bailiwick/projection'
import {
  encodeVkey,
  isQuorumMet,
  leafHash,
  type NoteSigner,
  openCheckpoint,
  type Policy,
  type VerifierKey,
  verifyInclusion,
} from '@bailiwick/tlog'
import { signedLeaf } from '../log/signed-leaf.ts'
import { placeOf } from '../trace/place.ts'
import { flatten, type TraceStep, traceOf } from '../trace/trace.ts'
import { type TraceLeaf, traceLeaf } from '../trace/trace-leaf.ts'
import { isAnotherCall } from './another-call.ts'
import { type Bundle, parseBundle } from './bundle.ts'

/** A value that an event holds as a salted hash. Without `text` it is withheld, or was erased. */
export type ProvedValue = Commitment & { readonly text?: string }

export type Step = Omit<TraceStep, 'steps'> & { readonly values?: readonly ProvedValue[] }

export type BundleReport =
  | {
      readonly ok: true
      readonly origin: string
      /** Entries under the checkpoint. */
      readonly size: number
      readonly witnesses: readonly NoteSigner[]
      /** `x` of the root key that all signatures lead back to. */
      readonly root: string
      /** Whether that is the key that the verifier was given. Otherwise it only comes from the bundle, and anyone can make one. */
      readonly root_checked: boolean
      /** A program approved, and no person (`bailiwick dev`). */
      readonly software_approver: boolean
      /** Oldest first. */
      readonly steps: readonly Step[]
    }
  | {
      readonly ok: false
      /** An error code, or what a checkpoint or a proof lacks. */
      readonly reason: string
      /** If one entry is at fault: its index. */
      readonly index?: number
      /** For a file that is not a bundle: where the fault is, and what it is. */
      readonly detail?: string
    }

const no = (reason: string, index?: number): BundleReport => ({
  ok: false,
  reason,
  ...(index === undefined ? {} : { index }),
})

export interface BundleTrust {
  readonly log: VerifierKey
  readonly policy?: Policy | undefined
  /** `x` of the root key. The log's key does not sign the anchor: an attacker with that key could make up another anchor. */
  readonly root?: string | undefined
}

/**
 * Verifies a bundle with the log's key and root key and, given a policy, the keys of its witnesses. The checkpoint must be signed by them,
 * each entry must be in its tree, the registry entries must lead back to the anchor, and each step of the story must have valid signatures
 * of services, agent, people and enforcement point. A bundle cannot show that nothing else happened.
 */
export async function verifyBundle(bundle: Bundle, { log, policy, root }: BundleTrust): Promise<BundleReport> {
  const opened = openCheckpoint(bundle.checkpoint, { log, witnesses: policy?.witnesses.map(({ key }) => key) ?? [] })
  if (!opened.ok) return no(opened.reason)
  const { checkpoint, witnesses } = opened
  const cosigners = witnesses.map(({ key }) => key)
  if (policy !== undefined && !isQuorumMet(policy, cosigners)) return no('quorum_missing')
  if (bundle.trust.log.vkey !== encodeVkey(log)) return no('trust_invalid')
  if (root !== undefined && bundle.trust.root.jwk.x !== root) return no('root_differs')
  const leaves: TraceLeaf[] = []
  for (const { index, proof, bytes } of bundle.leaves) {
    if (!verifyInclusion({ leafHash: leafHash(bytes), index, proof }, checkpoint))
      return no('inclusion_unproved', index)
    const leaf = traceLeaf(index, bytes)
    if (leaf === undefined) return no('event_malformed', index)
    if (leaves.some((other) => other.index === index)) return no('inclusion_unproved', index)
    leaves.push(leaf)
  }
  const keyRing = new KeyRing(bundle.trust)
  const registry = await registryOf(leaves, keyRing)
  const found = storyOf(bundle.about, leaves)
  const trees = await traceOf(found, leaves, { trust: bundle.trust, keyRing, registry })
  const steps = flatten(trees).filter(({ kind }) => kind !== 'registry')
  if (steps.length === 0) return no('entity_unknown')
  const wrong = steps.find(({ verified }) => !verified)
  if (wrong !== undefined) return no(wrong.problem ?? 'signature_invalid', wrong.leaf_index)
  const { origin, size } = checkpoint
  const values = new Map<string | undefined, string>()
  for (const value of bundle.values) values.set(saltedHash(value), value.text)
  const told = steps.map((step): Step => ({ ...step, ...valuesOf(step.data, values) }))
  // Otherwise a text that no event committed to would appear beside a proved story.
  const proved = new Set(told.flatMap((step) => step.values ?? []).map(({ salted_sha256 }) => salted_sha256))
  if ([...values.keys()].some((hash) => hash === undefined || !proved.has(hash))) return no('value_unproved')
  const contradicted = told.find(({ data, values: shown = [] }) =>
    shown.some((value) => value.text !== undefined && isAnotherCall(value, value.text, data)),
  )
  if (contradicted !== undefined) return no('value_contradicted', contradicted.leaf_index)
  return {
    ok: true,
    origin,
    size,
    witnesses,
    root: bundle.trust.root.jwk.x,
    root_checked: root !== undefined,
    software_approver: bundle.trust.software_approver === true,
    steps: told.reverse(),
  }
}

/**
 * Like `verifyBundle`, for the bytes of a file. A file that was changed so that it is no longer a bundle proves nothing, like one with
 * invalid signatures. The report names the fault (`request_malformed`, `trust_invalid`) and its place.
 */
export async function verifyBundleFile(
  file: Uint8Array,
  by: BundleTrust,
): Promise<{ about: string; report: BundleReport }> {
  let bundle: Bundle
  try {
    bundle = parseBundle(file)
  } catch (error) {
    const { code: reason, detail } = toProblem(error)
    if (reason === 'internal') throw error
    return { about: '', report: { ok: false, reason, ...(detail === undefined ? {} : { detail }) } }
  }
  return { about: bundle.about, report: await verifyBundle(bundle, by) }
}

function valuesOf(data: unknown, texts: ReadonlyMap<string | undefined, string>): { values?: ProvedValue[] } {
  const values = commitmentsIn(data).map((commitment): ProvedValue => {
    const text = texts.get(commitment.salted_sha256)
    return text === undefined ? commitment : { ...commitment, text }
  })
  return values.length > 0 ? { values } : {}
}

/** The leaves that name the id, and those that followed from them: an outcome names its decision and its grant, but no request. */
function storyOf(about: string, leaves: readonly TraceLeaf[]): TraceLeaf[] {
  const found = new Set(leaves.filter((leaf) => isAbout(leaf, about)))
  const begun = new Set<string>()
  for (let before = -1; before !== found.size + begun.size; ) {
    before = found.size + begun.size
    for (const leaf of leaves) {
      const { is, from, beside = [] } = placeOf(leaf.event)
      if ([...from, ...beside].some((cause) => begun.has(cause))) found.add(leaf)
      if (is !== undefined && found.has(leaf)) begun.add(is)
    }
  }
  return [...found]
}

function isAbout({ event }: TraceLeaf, about: string): boolean {
  return [...termsOf({ ...event })].some((term) => term.slice(term.indexOf(' ') + 1) === about)
}

/** The registry that these leaves make. A change that does not lead back to the anchor has no effect. */
async function registryOf(leaves: readonly TraceLeaf[], keyRing: KeyRing): Promise<RegistryState> {
  const registry = new RegistryState(judgeByAnchor(keyRing))
  for (const { event, bytes } of leaves.toSorted((a, b) => a.index - b.index)) {
    const signed = signedLeaf(keyRing, bytes, ['registry.v1'])
    if (typeof signed !== 'object') continue
    const verdict = await registry.apply(signed.event as Parameters<RegistryState['apply']>[0])
    if (verdict === 'counts' && event.type === 'service-key.retired')
      keyRing.retire(event.data.entity.id, Date.parse(event.time))
  }
  return registry
}
