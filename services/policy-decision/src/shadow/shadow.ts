import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { EventData } from '@bailiwick/contracts'
import type { Logger, Metrics } from '@bailiwick/host'
import { paths, policyFileNames } from '@bailiwick/installation'
import type { Draft } from '@bailiwick/instance'
import {
  type CandidateAnswer,
  type CandidateLimits,
  CandidateThread,
  candidateLimits,
  type LoadedCandidate,
  type PolicyRequest,
} from '@bailiwick/policy'
import type { PolicyQuestion } from './policy-question.ts'

type Answer = EventData<'decisions.v1', 'candidate.answered'>['answers'][number]

/** The questions to a candidate about one decision: the very requests that the active set got. */
export interface Prepared {
  candidate: string
  policySet: string
  active: PolicyQuestion['outcome']
  /** undefined: they need more facts than a decision may look up for a candidate. */
  requests: PolicyRequest[] | undefined
}

export interface ShadowOptions {
  data: string
  /** Makes events durable. */
  record(drafts: readonly Draft<'decisions.v1'>[]): Promise<unknown>
  metrics: Metrics
  logger: Logger
  limits?: Partial<CandidateLimits>
  /** How often the candidate's files are checked, in ms. */
  everyMs?: number
}

const gatherMs = 250
const mostAnswers = 40
const mostBytes = 48_000
const mostWaiting = 4000

/**
 * A candidate policy set in shadow. A set whose files lie in `policies/candidate` of the data directory gets the same questions as the
 * active set, after each answer, and both answers become evidence (`candidate.answered`). Only the active set's answer counts. The shadow
 * neither influences nor delays a decision, and its errors are only reported.
 */
export class Shadow implements AsyncDisposable {
  readonly #options: ShadowOptions
  readonly #limits: CandidateLimits
  readonly #folder: string
  readonly #counted: ReturnType<typeof answersCounter>
  readonly #dropped: { inc(): void }
  readonly #timer: NodeJS.Timeout
  #flushTimer: NodeJS.Timeout | undefined
  #thread: CandidateThread | undefined
  #seen = ''
  #restAt = 0
  #looks = 0
  #looking: Promise<void> = Promise.resolve()
  readonly #answers: { candidate: string; answer: Answer }[] = []
  #publishing: Promise<void> | undefined

  constructor(options: ShadowOptions) {
    this.#options = options
    this.#limits = { ...candidateLimits, ...options.limits }
    this.#folder = paths(options.data).candidate
    this.#counted = answersCounter(options.metrics)
    this.#dropped = options.metrics.counter(
      'candidate_answers_dropped_total',
      'Answers that fell out of the full queue to the log',
    )
    options.metrics.gauge(
      'candidate_running',
      'Whether a candidate policy set is asked beside the active one',
      [],
      (gauge) => gauge.set(this.#thread?.loaded === undefined ? 0 : 1),
    )
    this.#timer = setInterval(() => this.#lookSoon(), options.everyMs ?? 1000)
    this.#timer.unref()
    this.#lookSoon()
  }

  /** The hash of the candidate that is asked now. */
  get candidate(): string | undefined {
    return this.#thread?.loaded?.hash
  }

  /** Copies the questions to the active set, since the history changes once other calls of the same task are decided. Never throws. */
  prepare(asked: PolicyQuestion | undefined): Prepared | undefined {
    const loaded = this.#thread?.loaded
    if (asked === undefined || loaded === undefined || loaded.hash === asked.policySet) return undefined
    try {
      const requests = this.#requestsOf(asked, loaded)
      return { candidate: loaded.hash, policySet: asked.policySet, active: asked.outcome, requests }
    } catch (error) {
      this.#options.logger.error({ err: error, candidate: loaded.hash }, 'a candidate cannot be asked of this call')
      return undefined
    }
  }

  /** Limits the facts that a decision looks up for a candidate, however long the chain is and however much history the candidate reads. */
  #requestsOf(asked: PolicyQuestion, { history }: LoadedCandidate): PolicyRequest[] | undefined {
    const { shape, facts = 0 } = history.get(asked.action) ?? {}
    const most = Math.floor(this.#limits.mostFacts / Math.max(1, facts))
    if (most === 0) return undefined
    const requests: PolicyRequest[] = []
    for (const request of asked.requests(shape)) {
      requests.push(request)
      if (requests.length > most) return undefined
    }
    return requests
  }

  /** Call it after the decision was answered. Never throws, and returns nothing. */
  ask(decisionId: string, prepared: Prepared | undefined): void {
    const thread = this.#thread
    if (prepared === undefined) return
    const { candidate } = prepared
    const take = (answer?: CandidateAnswer) => this.#take(candidate, answerOf(decisionId, prepared, answer))
    if (prepared.requests === undefined || thread?.loaded?.hash !== candidate) take()
    else thread.ask(prepared.requests, take)
  }

  #take(candidate: string, answer: Answer): void {
    this.#counted.inc({ active: answer.active, candidate: answer.candidate })
    if (this.#answers.length < mostWaiting) this.#answers.push({ candidate, answer })
    else this.#dropped.inc()
    this.#flushTimer ??= setTimeout(() => this.#flush(), gatherMs).unref()
  }

  #flush(): void {
    this.#flushTimer = undefined
    this.#publishing ??= this.#publish().finally(() => {
      this.#publishing = undefined
    })
  }

  async #publish(): Promise<void> {
    while (this.#answers.length > 0) {
      const { candidate, answers } = this.#nextEvent()
      const draft = {
        type: 'candidate.answered' as const,
        subject: `policy-set ${candidate}`,
        data: { candidate, answers },
      }
      // A numbered event stays in hand until it is durable. An event that the bus does not accept now is dropped, because it has no effect.
      await this.#options.record([draft]).catch(() => undefined)
    }
  }

  #nextEvent(): { candidate: string; answers: Answer[] } {
    const candidate = this.#answers[0]?.candidate ?? ''
    const answers: Answer[] = []
    for (let bytes = 0; answers.length < mostAnswers; ) {
      const next = this.#answers[0]
      bytes += next === undefined ? 0 : Buffer.byteLength(JSON.stringify(next.answer))
      if (next === undefined || next.candidate !== candidate || (bytes > mostBytes && answers.length > 0)) break
      answers.push(next.answer)
      this.#answers.shift()
    }
    return { candidate, answers }
  }

  #lookSoon(): void {
    this.#looks++
    this.#looking = this.#looking
      .then(() => this.#look())
      .catch((error: unknown) => this.#options.logger.warn({ err: error }, 'the candidate was not looked at'))
  }

  /** Checks only names, sizes and times. The candidate's own thread reads the files themselves. */
  async #look(): Promise<void> {
    const found = await this.#found()
    const isSame = found === this.#seen && (this.#thread !== undefined || this.#looks < this.#restAt)
    if (isSame) return
    this.#seen = found
    await this.#thread?.[Symbol.asyncDispose]()
    this.#thread = found === '' ? undefined : this.#start()
  }

  async #found(): Promise<string> {
    const names = await policyFileNames(this.#folder)
    if (names.length === 0) return ''
    const files = await Promise.all(names.map((name) => stat(join(this.#folder, name))))
    // A read of something other than a regular file, or of an endless file, would never return.
    const isReadable =
      files.every((file) => file.isFile()) && files.reduce((sum, { size }) => sum + size, 0) <= this.#limits.mostBytes
    if (isReadable) return JSON.stringify(files.map(({ size, mtimeMs, ino }, n) => [names[n], size, mtimeMs, ino]))
    if (this.#seen !== unreadable)
      this.#options.logger.warn('the candidate policy set is not asked: too large, or not made of files')
    return unreadable
  }

  #start(): CandidateThread | undefined {
    if (this.#seen === unreadable) return undefined
    const { logger } = this.#options
    let candidate: string | undefined
    const onLoaded = ({ hash }: LoadedCandidate) => {
      candidate = hash
      logger.info({ candidate }, 'a candidate policy set is asked in shadow')
    }
    const onEnd = (why: string) => {
      logger.warn({ candidate, why }, 'the candidate policy set is not asked any more')
      if (this.#thread === thread) this.#thread = undefined
      this.#restAt = this.#looks + restLooks
    }
    const thread: CandidateThread = new CandidateThread(this.#folder, { onLoaded, onEnd }, this.#limits)
    return thread
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    await this.#looking
    await this.#thread?.[Symbol.asyncDispose]()
    this.#thread = undefined
    clearTimeout(this.#flushTimer)
    this.#flush()
    await this.#publishing
  }
}

/** A candidate whose thread ended is not started again for this many checks, unless its files change: a slow one gets a tenth of a core. */
const restLooks = 60
const unreadable = 'unreadable'

function answersCounter(metrics: Metrics) {
  const about = 'What a candidate policy set said of decisions, beside what the active one said'
  return metrics.counter('candidate_answers_total', about, ['active', 'candidate'])
}

/** Names the policies only if the candidate's answer differs. */
function answerOf(decisionId: string, { policySet, active }: Prepared, answer: CandidateAnswer | undefined): Answer {
  const candidate: Answer['candidate'] = answer?.outcome ?? 'unanswered'
  const named = answer !== undefined && 'policies' in answer && candidate !== active ? answer.policies : []
  const policies = named.filter((id) => id.length <= 256).slice(0, 4)
  const said = { decision_id: decisionId, policy_set: policySet, active, candidate }
  return policies.length === 0 ? said : { ...said, policies }
}
