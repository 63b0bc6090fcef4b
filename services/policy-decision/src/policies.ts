import { paths, policySetOf, readPolicyFiles } from '@bailiwick/installation'
import { contextReads, type Duties, decisionSet, dutiesOf, type PolicyEngine } from '@bailiwick/policy'
import type { RegistryState } from '@bailiwick/projection'
import type { Logger } from '@bailiwick/service-kit'

export interface ActiveSet {
  hash: string
  engine: PolicyEngine
  /** What these of its policies oblige enforcement points to. */
  dutiesOf(policies: Iterable<string>): Duties
  /** Whether a policy may look at what the agent did in other tasks, which other instances may be deciding. */
  readsAgentHistory: boolean
}

/** The active policy set: the one that the registry names by its hash, and no other (DESIGN §3). */
export interface ActivePolicies {
  /** undefined: this instance lacks the set, cannot load it, or it is not what its hash says. */
  current(): ActiveSet | undefined
}

export function activePolicies(data: string, registry: RegistryState, logger: Logger): ActivePolicies {
  let loaded: { hash: string; set: ActiveSet | undefined } | undefined
  return {
    current() {
      const hash = registry.policySet?.hash
      if (hash === undefined) return undefined
      if (loaded?.hash !== hash) loaded = { hash, set: load(data, hash, logger) }
      return loaded.set
    },
  }
}

function load(data: string, hash: string, logger: Logger): ActiveSet | undefined {
  try {
    const files = readPolicyFiles(paths(data).policies(hash))
    if (policySetOf(files).hash !== hash) throw new Error('the files are not the set that the registry names')
    const { engine, policies } = decisionSet(files)
    const readsAgentHistory = contextReads(policies.values())(['history', 'agent'])
    return { hash, engine, dutiesOf: (ids) => dutiesOf(policies, ids), readsAgentHistory }
  } catch (err) {
    logger.error({ err, policy_set: hash }, 'the active policy set cannot be loaded')
    return undefined
  }
}
