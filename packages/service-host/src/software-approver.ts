import type { Trust } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { isLoopback } from '@bailiwick/service-kit'

interface Place {
  BAILIWICK_BUS: { kind: string }
  BAILIWICK_HOST: string
}

/**
 * An installation whose approver is a program (`bailiwick dev`) must stay on this machine: only the embedded bus, reachable only through
 * the loopback. Throws `config_invalid` for anything else, so that such an approver never governs anything real.
 */
export function assertSoftwareApproverContained(trust: Pick<Trust, 'software_approver'>, config: Place): void {
  if (trust.software_approver !== true) return
  const { BAILIWICK_BUS: bus, BAILIWICK_HOST: host } = config
  const fault =
    bus.kind !== 'embedded'
      ? 'BAILIWICK_BUS: it runs on the embedded bus alone'
      : !isLoopback(host)
        ? `BAILIWICK_HOST: it listens on the loopback alone, not on ${host}`
        : undefined
  if (fault !== undefined)
    throw new ServiceError('config_invalid', `in this installation a program approves (bailiwick dev). ${fault}`)
}
