import { errorCode } from '@bailiwick/errors'
import { type Logger, type Metrics, openServers, type ServerSettings } from '@bailiwick/host'
import { type Clock, type DurableFs, type RandomSource, systemFs } from '@bailiwick/kit'
import type { SignerKey } from '@bailiwick/tlog'
import { witnessRoutes } from './http.ts'
import { Witness, type WitnessAnswer, type WitnessedLogs } from './witness.ts'
import { openState } from './witness-state.ts'

export interface WitnessConfig extends ServerSettings {
  /** The folder of `state.json`. */
  dir: string
  key: SignerKey
  logs: WitnessedLogs
}

export interface WitnessAdapters {
  clock: Clock
  random: RandomSource
  logger: Logger
  metrics: Metrics
  fs?: DurableFs
  /** Called when the process must stop: it is unknown whether the last record is on the disk. */
  onFatal: (error: unknown) => void
}

/** Starts a witness and listens. Throws the errors of `openState` before it listens. */
export async function startWitness(
  config: WitnessConfig,
  adapters: WitnessAdapters,
): Promise<AsyncDisposable & { url: string }> {
  const { dir, key, logs } = config
  const { clock, random, logger, metrics, fs = systemFs, onFatal } = adapters
  await using started = new AsyncDisposableStack()
  const opened = started.use(await openState(dir, key.verifier, fs))
  const state = {
    ...opened,
    record: (note: string) =>
      opened.record(note).catch((error: unknown) => {
        if (errorCode(error) === 'outcome_unknown') onFatal(error)
        throw error
      }),
  }
  const witness = new Witness({ key, logs, state, now: () => clock.now() })
  const answers = metrics.counter('witness_answers_total', 'Checkpoints that logs submitted', ['answer'])
  const observed = {
    async addCheckpoint(body: Uint8Array) {
      const answer = await witness.addCheckpoint(body)
      answers.inc({ answer: answer.outcome === 'refused' ? answer.reason : answer.outcome })
      tell(answer, logger)
      return answer
    },
  }
  // Every caller gets the same answer, and everything that is accepted is signed: the name by which the server was reached makes no
  // difference.
  const servers = started.use(await openServers({ config, clock, random, logger, metrics, anyName: true }))
  witnessRoutes(servers.http, { witness: observed, state, logs })
  const url = await servers.listen()
  const owned = started.move()
  return { url, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

function tell(answer: WitnessAnswer, logger: Logger): void {
  if (answer.outcome === 'cosigned') logger.info({ origin: answer.origin, size: answer.size }, 'cosigned')
  // The log signed both: a person who has the two can prove what it did.
  else if (answer.outcome === 'refused' && answer.fork !== undefined)
    logger.error(answer.fork, 'A CHECKPOINT THAT IS NOT PROVED TO EXTEND THE LAST ONE')
}
