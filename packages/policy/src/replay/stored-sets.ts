import { paths, policySetOf, readPolicyFiles } from '@bailiwick/installation'
import { loadPolicySet, type PolicySet } from '../policy-set.ts'

/** The sets that decided, if their files are in the data directory and match their hash. */
export function storedSets(data: string): (hash: string) => PolicySet | undefined {
  const sets = new Map<string, PolicySet | undefined>()
  const read = (hash: string) => {
    try {
      const files = readPolicyFiles(paths(data).policies(hash))
      return policySetOf(files).hash === hash ? loadPolicySet(files) : undefined
    } catch {
      return undefined
    }
  }
  return (hash) => {
    if (!sets.has(hash)) sets.set(hash, read(hash))
    return sets.get(hash)
  }
}
