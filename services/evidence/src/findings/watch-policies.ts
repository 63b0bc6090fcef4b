import { existsSync } from 'node:fs'
import { errorCode } from '@bailiwick/errors'
import type { Logger } from '@bailiwick/host'
import { paths, policySetOf, readPolicyFiles } from '@bailiwick/installation'
import type { Voice } from '@bailiwick/instance'
import type { LeafIndex } from '../index/leaf-index.ts'

export interface PolicyWatchOptions {
  data: string
  participant: Pick<Voice, 'projection' | 'producer'>
  index: Pick<LeafIndex, 'isTold'>
  logger: Logger
}

const everyMs = 5000

/**
 * Reports if the active policy set's files, where they lie beside this log, are not the approved ones. Decision points do not load such a
 * set, but the edit may be an attack and would otherwise be noticed only at the next start.
 */
export function watchPolicies({ data, participant, index, logger }: PolicyWatchOptions): AsyncDisposable {
  const { projection, producer } = participant
  const told = new Set<string>()

  async function look(): Promise<void> {
    const active = projection.ledger.registry.policySet?.hash
    if (active === undefined) return
    const folder = paths(data).policies(active)
    if (!existsSync(folder)) return // the files are with the decision points, elsewhere
    const found = hashOf(folder)
    const name = `policy-set ${active} ${found ?? 'unreadable'}`
    if (found === active || told.has(name) || index.isTold(name)) return
    told.add(name)
    logger.error({ policy_set: active, found }, 'THE FILES OF THE ACTIVE POLICY SET WERE CHANGED')
    const put = { policy_set: active, ...(found === undefined ? {} : { found }) }
    try {
      await producer.publish('findings.v1', [{ type: 'policy-files.changed', subject: name, data: put }])
    } catch (error) {
      // A numbered event stays in hand until it is durable. Any other finding is published again.
      if (errorCode(error) !== 'outcome_unknown') told.delete(name)
      throw error
    }
  }

  let looking: Promise<void> = Promise.resolve()
  const timer = setInterval(() => {
    looking = looking
      .then(look)
      .catch((error: unknown) => logger.error({ err: error }, 'the policies were not looked at'))
  }, everyMs)
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      await looking
    },
  }
}

function hashOf(folder: string): string | undefined {
  try {
    return policySetOf(readPolicyFiles(folder)).hash
  } catch {
    return undefined
  }
}
