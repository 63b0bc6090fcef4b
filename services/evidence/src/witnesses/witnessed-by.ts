import type { Logger, Metrics } from '@bailiwick/host'
import type { Clock } from '@bailiwick/kit'
import { distinctName, type Policy, type PolicyParty, type SignerKey } from '@bailiwick/tlog'
import type { Published } from '../log/log.ts'
import type { LogStorage } from '../log/log-storage.ts'
import { type Submitted, WitnessClient } from './submit.ts'
import { WitnessedCheckpoints } from './witnessed-checkpoints.ts'

export interface WitnessedByOptions {
  policy: Policy
  storage: LogStorage
  key: SignerKey
  clock: Clock
  logger: Logger
  metrics: Metrics
  onPublished: (checkpoint: Published) => void
  onFatal: (error: unknown) => void
}

/** The checkpoints of a log whose witnesses, with their addresses, this policy names. Counts the answers of the witnesses. */
export function witnessedBy(options: WitnessedByOptions): WitnessedCheckpoints {
  const { policy, storage, logger, metrics } = options
  const submissions = metrics.counter('evidence_witness_submissions_total', 'Checkpoints submitted to witnesses', [
    'witness',
    'outcome',
  ])
  const size = metrics.gauge('evidence_witness_size', 'Leaves under the last checkpoint that a witness cosigned', [
    'witness',
  ])
  const keys = policy.witnesses.map(({ key }) => key)
  const nameOf = ({ key }: PolicyParty) => distinctName(key, keys)
  const silent = new Map<string, string>()

  /** Reports each change once, so that a witness that is away for a day is not reported every half minute. */
  function tell(witness: string, submitted: Submitted): void {
    const { outcome } = submitted
    if (silent.get(witness) === outcome) return
    silent.set(witness, outcome)
    if (outcome === 'ahead')
      logger.error({ witness, size: submitted.size }, 'A WITNESS SAW MORE OF THIS LOG THAN THERE IS')
    else if (outcome === 'refused') logger.error({ witness, status: submitted.status }, 'A WITNESS REFUSES THIS LOG')
    else if (outcome === 'failed') logger.warn({ witness, why: submitted.why }, 'a witness does not answer')
    else logger.info({ witness }, 'a witness cosigns')
  }

  return new WitnessedCheckpoints({
    ...options,
    witnesses: new Map(
      policy.witnesses
        .filter(isReachable)
        .map((party) => [party.key, new WitnessClient({ party, name: nameOf(party), read: storage.read })]),
    ),
    onSubmitted(witness, submitted, checkpoint) {
      submissions.inc({ witness, outcome: submitted.outcome })
      if (submitted.outcome === 'cosigned') size.set({ witness }, checkpoint.size)
      tell(witness, submitted)
    },
  })
}

function isReachable(party: PolicyParty): party is PolicyParty & { url: string } {
  return party.url !== undefined
}
