import type { Trust } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { isLoopback } from '../http/listener.ts'

interface Place {
  BAILIWICK_BUS: { kind: string }
  BAILIWICK_GRANT_STORE: { kind: string }
  BAILIWICK_HOST: string
  BAILIWICK_HOSTS: readonly string[]
  BAILIWICK_TRUSTED_PROXIES?: unknown
}

/**
 * An installation whose approver is a program (`bailiwick dev`) is reached from this machine only: on the embedded bus and grant store, and on
 * the loopback, with no other name and no proxy in front. Throws `config_invalid` for any other setting.
 */
export function assertSoftwareApproverContained(trust: Pick<Trust, 'software_approver'>, config: Place): void {
  if (trust.software_approver !== true) return
  const faults: Record<string, boolean> = {
    'BAILIWICK_BUS: it runs on the embedded bus alone': config.BAILIWICK_BUS.kind !== 'embedded',
    'BAILIWICK_GRANT_STORE: it has the embedded one alone': config.BAILIWICK_GRANT_STORE.kind !== 'embedded',
    'BAILIWICK_HOST: it listens on the loopback alone': !isLoopback(config.BAILIWICK_HOST),
    'BAILIWICK_HOSTS: it has no other name': config.BAILIWICK_HOSTS.length > 0,
    'BAILIWICK_TRUSTED_PROXIES: no proxy stands in front of it': config.BAILIWICK_TRUSTED_PROXIES !== undefined,
  }
  const fault = Object.keys(faults).find((name) => faults[name])
  if (fault !== undefined)
    throw new ServiceError('config_invalid', `in this installation a program approves (bailiwick dev). ${fault}`)
}
