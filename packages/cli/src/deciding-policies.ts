import { type PolicyFiles, readPolicyFiles } from '@bailiwick/installation'
import { decisionSet } from '@bailiwick/policy'

/** Reads the policies of a new installation. Throws `config_invalid` for a set that no decision point can load: every call would be denied. */
export function decidingPolicies(directory: string): PolicyFiles {
  const files = readPolicyFiles(directory)
  decisionSet(files)
  return files
}
