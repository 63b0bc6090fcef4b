import { paths, policySetOf, readPolicyFiles } from '@bailiwick/installation'
import { cedarEngine, type PolicyEngine } from '@bailiwick/policy'
import type { RegistryState } from '@bailiwick/projection'
import type { Logger } from '@bailiwick/service-kit'

/** The active policy set: the one that the registry names by its hash, and no other (DESIGN §3). */
export interface ActivePolicies {
  /** undefined: this instance lacks the set, cannot load it, or it is not what its hash says. */
  current(): { hash: string; engine: PolicyEngine } | undefined
}

export function activePolicies(data: string, registry: RegistryState, logger: Logger): ActivePolicies {
  let loaded: { hash: string; engine: PolicyEngine | undefined } | undefined
  return {
    current() {
      const hash = registry.policySet?.hash
      if (hash === undefined) return undefined
      if (loaded?.hash !== hash) loaded = { hash, engine: load(data, hash, logger) }
      return loaded.engine && { hash, engine: loaded.engine }
    },
  }
}

function load(data: string, hash: string, logger: Logger): PolicyEngine | undefined {
  try {
    const files = readPolicyFiles(paths(data).policies(hash))
    if (policySetOf(files).hash !== hash) throw new Error('the files are not the set that the registry names')
    return cedarEngine(files)
  } catch (err) {
    logger.error({ err, policy_set: hash }, 'the active policy set cannot be loaded')
    return undefined
  }
}
