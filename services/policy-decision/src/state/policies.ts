import type { Logger } from '@bailiwick/host'
import { type PolicyFiles, paths, policySetOf, readPolicyFiles } from '@bailiwick/installation'
import type { Clock } from '@bailiwick/kit'
import {
  contextReads,
  type Duties,
  decisionSet,
  dutiesOf,
  type EngineWatch,
  type PolicyEngine,
} from '@bailiwick/policy'
import type { RegistryState } from '@bailiwick/projection'

export interface ActiveSet {
  hash: string
  engine: PolicyEngine
  /** The duties that these policies of the set impose on enforcement points. */
  dutiesOf(policies: Iterable<string>): Duties
  /** Whether a policy may read what the agent, or others of its owner, did in other tasks. Other instances may be deciding those tasks. */
  readsAgentHistory: boolean
}

/** The active policy set: only the set that the registry names by its hash (DESIGN §3). */
export interface ActivePolicies {
  /** undefined: this instance lacks the set, cannot load it, or the files do not match the hash. */
  current(): ActiveSet | undefined
}

/** The facts about a set that approvers signed. */
interface Named {
  hash: string
  /** A set without a `permit` is loaded only if the approvers signed that it is intended. */
  permitsNothing: boolean
}

/** Missing or incomplete files are looked for again after this pause: they may be copied after the registry changed. */
const againAfterMs = 1000

/** With `watch`, compiled policies answer what they can. */
export function activePolicies(
  data: string,
  registry: RegistryState,
  logger: Logger,
  { monotonic }: Pick<Clock, 'monotonic'>,
  watch?: EngineWatch,
): ActivePolicies {
  let loaded: (Named & { set: ActiveSet | undefined; againAt: number }) | undefined
  const look = ({ hash, permitsNothing }: Named) => {
    const isAgain = loaded?.hash === hash
    // Logged once, however often the files are looked for.
    const tell = (err: unknown) =>
      isAgain || logger.error({ err, policy_set: hash }, 'the active policy set cannot be loaded')
    const files = attempt(() => filesOf(data, hash), tell)
    // Files that match the approved hash will be the same next time, so they are not read again.
    const againAt = files === undefined ? monotonic() + againAfterMs : Number.POSITIVE_INFINITY
    const set = files && attempt(() => load(files, permitsNothing, watch), tell)
    if (isAgain && set) logger.info({ policy_set: hash }, 'the active policy set is here now')
    return { hash, permitsNothing, set, againAt }
  }
  return {
    current() {
      const named = registry.policySet
      if (named === undefined) return undefined
      const { hash, permits_nothing: permitsNothing = false } = named
      const isLoaded = loaded?.hash === hash && loaded.permitsNothing === permitsNothing
      if (!isLoaded || monotonic() >= (loaded?.againAt ?? 0)) loaded = look({ hash, permitsNothing })
      return loaded?.set
    },
  }
}

function attempt<T>(what: () => T, failed: (error: unknown) => void): T | undefined {
  try {
    return what()
  } catch (error) {
    failed(error)
    return undefined
  }
}

function filesOf(data: string, hash: string): PolicyFiles {
  const files = readPolicyFiles(paths(data).policies(hash))
  if (policySetOf(files).hash !== hash) throw new Error('the files are not the set that the registry names')
  return files
}

function load(files: PolicyFiles, permitsNothing: boolean, watch: EngineWatch | undefined): ActiveSet {
  const { hash, engine, policies } = decisionSet(files, { permitsNothing }, watch)
  const reads = contextReads(policies.values())
  const readsAgentHistory = reads(['history', 'agent']) || reads(['history', 'owner'])
  return { hash, engine, dutiesOf: (ids) => dutiesOf(policies, ids), readsAgentHistory }
}
