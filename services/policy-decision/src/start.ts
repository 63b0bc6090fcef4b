import { authZenRoutes, PageTokens, watchEngines } from '@bailiwick/authzen'
import type { SigningKey } from '@bailiwick/credentials'
import { type DenialReason, type ErrorCode, errorCode, errorKinds } from '@bailiwick/errors'
import type { GrantStore } from '@bailiwick/grant-store'
import { observeProjection } from '@bailiwick/host'
import type { Adapters, Host, Watched } from '@bailiwick/host/process'
import { openParticipant } from '@bailiwick/instance'
import { newId } from '@bailiwick/kit'
import type { Answer } from './answer.ts'
import { defaults, type PolicyDecisionConfig } from './config.ts'
import { type Deciding, decide, type From } from './decide.ts'
import { Callers, type CallingPoint } from './http/callers.ts'
import type { EvaluationRequest } from './http/evaluation-request.ts'
import { metadataRoutes } from './http/metadata.ts'
import { openCallsRoute } from './http/open-calls.ts'
import { operatorRoutes } from './http/operator.ts'
import { outcomesRoute } from './http/outcomes.ts'
import { pipelineDecider } from './http/pipeline-decider.ts'
import { boundedGrantStore } from './order/bounded-grant-store.ts'
import { Calls } from './order/calls.ts'
import { CatchUp } from './order/catch-up.ts'
import { Intake } from './order/intake.ts'
import { Quotas } from './order/quotas.ts'
import { TreeQueues } from './order/tree-queue.ts'
import { UnderWay } from './order/under-way.ts'
import { OpenCalls } from './outcomes/open-calls.ts'
import { OutcomeGrace } from './outcomes/outcome-grace.ts'
import { reportOutcome, sweepMissing } from './outcomes/outcomes.ts'
import { OutcomesInHand } from './outcomes/outcomes-in-hand.ts'
import { pointsWithoutInstance } from './outcomes/points-without-instance.ts'
import { RefusedOutcomes } from './outcomes/refused-outcomes.ts'
import { UnverifiedOutcomes } from './outcomes/unverified-outcomes.ts'
import type { PolicyDecision } from './policy-decision.ts'
import type { Clocked, Judges, Logged, RecordDecisions, Recording, State } from './ports.ts'
import { Denials } from './record/denials.ts'
import { EngineDifferences } from './record/engine-differences.ts'
import { KeptCalls } from './record/kept-calls.ts'
import { Searches } from './search.ts'
import { Shadow } from './shadow/shadow.ts'
import { Approvals } from './state/approvals.ts'
import { activePolicies } from './state/policies.ts'
import { Proofs } from './state/proofs.ts'
import { StepUps } from './state/step-ups.ts'
import { whyNotAgain } from './why-not-again.ts'

export type { PolicyDecision } from './policy-decision.ts'

export interface PolicyDecisionAdapters extends Adapters {
  grantStore: Watched<GrantStore>
  keys: { event: SigningKey<'pdp-event'>; permit: SigningKey<'permit'>; bindingToken: SigningKey<'binding-token'> }
  /** Only the bench replaces how decisions are recorded, to measure the cost of evidence. */
  wrapRecord?: (record: RecordDecisions) => RecordDecisions
}

/** The PDP's keys, from its folder in the data directory. */
export const policyDecisionKeys = ({ key }: Pick<Host, 'key'>): PolicyDecisionAdapters['keys'] => ({
  event: key('policy-decision', 'event', 'pdp-event'),
  permit: key('policy-decision', 'permit', 'permit'),
  bindingToken: key('policy-decision', 'binding-token', 'binding-token'),
})

/** How many calls of one credential may be begun at once (decision 46). */
const begunAtOnce = 64
/** Verifying this many calls takes about 10 ms. More per turn would not make the shared durable write larger. */
const begunPerTurn = 32
/** Refusals with 429 before anything is decided. They make no event, because a caller that asks too often would fill the log. */
const turnedAway: ReadonlySet<ErrorCode> = new Set(['queue_full', 'decision_quota_exceeded'])
const sweepEveryMs = 1000
/** How long a stop waits for decisions, outcomes and abandonments that are on their way to the log, ms. */
const settledWithinMs = 2000
const hourMs = 3600 * 1000
const pageTokenLifeMs = 5 * 60 * 1000

/** Starts a policy decision point. It decides every action, and answers ALLOW only after the decision is evidence. */
export async function startPolicyDecision(
  config: PolicyDecisionConfig,
  adapters: PolicyDecisionAdapters,
): Promise<PolicyDecision> {
  const { bus, trust, keys, clock, random, logger, health, metrics, http, operator, onFatal } = adapters
  const newEventId = () => newId('evt', clock.now(), random)
  const grantStore = boundedGrantStore(adapters.grantStore)
  const participant = await openParticipant({
    bus,
    trust,
    service: 'policy-decision',
    instance: config.instance,
    eventKey: keys.event,
    otherKeys: [keys.permit, keys.bindingToken],
    onKeyMissing: (missing) => logger.error(missing, 'A KEY IS MISSING HERE'),
    follows: ['approvals.v1', 'grants.v1', 'revocations.v1', 'decisions.v1'],
    time: clock,
    newEventId,
    maxStalenessMs: config.maxStalenessMs,
    snapshots: adapters.snapshots?.('policy-decision'),
    onFatal,
    onHeadError: (err) => logger.warn({ err }, 'a head could not be published'),
  })
  const { projection, producer, keyRing } = participant
  observeProjection('policy-decision', projection, { metrics, clock, producer, watchedTypes: ['outcome.missing'] })
  const record: RecordDecisions = (drafts) => producer.publish('decisions.v1', drafts)
  const recordDecisions = adapters.wrapRecord?.(record) ?? record
  const deadlineMs = config.decisionDeadlineMs ?? defaults.decisionDeadlineMs
  const keptCalls = new KeptCalls(producer)
  const differences = new EngineDifferences({ record: recordDecisions })
  const shadow = new Shadow({ data: adapters.data, record: recordDecisions, metrics, logger })
  const base: Clocked & Logged = { clock, random, logger }
  const state: State = { projection, keyRing, trust, publicUrl: config.publicUrl }
  const recording: Recording = { record: recordDecisions, newEventId, grantStore }
  const judges: Judges = {
    policies: activePolicies(
      adapters.data,
      projection.ledger.registry,
      logger,
      clock,
      watchEngines({
        ...{ metrics, logger, random, compareOneIn: config.compareOneIn ?? defaults.compareOneIn },
        onDifferent: (difference) => differences.tell(difference),
      }),
    ),
    approvals: new Approvals(projection, trust),
    stepUps: new StepUps(projection, trust),
    proofs: new Proofs(grantStore, clock, random),
    shadow,
  }
  const deciding: Deciding = {
    ...base,
    ...state,
    ...judges,
    permitKey: keys.permit,
    keptCalls: config.keepCalls === true ? keptCalls : undefined,
    outcomeSeconds: config.outcomeSeconds ?? defaults.outcomeSeconds,
    decisionDeadlineMs: deadlineMs,
    catchUp: new CatchUp(() => projection.readToEnds(['decisions.v1'], deadlineMs)),
    agents: new UnderWay(config.agentCalls ?? defaults.agentCalls),
    intake: new Intake({
      perTurn: begunPerTurn,
      atOnce: begunAtOnce,
      most: config.agentCalls ?? defaults.agentCalls,
      deadlineMs,
      // Measured by the participant's own heads, which no tree's partition can hold up.
      isSlow: () => participant.latencyMs() > deadlineMs / 4,
      monotonic: clock.monotonic,
    }),
    quotas: new Quotas({ ...defaults, ...config }, clock),
  }
  judges.policies.current() // load now: it takes 0.1 s or more, which the first decision would lose from its deadline
  await judges.proofs.adopt().catch(() => undefined) // if the store is away, decisions go on by the log alone
  const queues = new TreeQueues({ ...base, ...recording, projection, proofs: judges.proofs })
  const single = metrics.counter(
    'callers_without_instance_total',
    'Calls of enforcement points that state no instance: each such point must be one process',
    ['enforcement_point'],
  )
  const told = new Set<string>()
  const callers = new Callers({ clock, projection, publicUrl: config.publicUrl }, (point) => {
    single.inc({ enforcement_point: point })
    if (told.has(point)) return
    told.add(point)
    logger.warn({ enforcement_point: point }, 'this enforcement point states no instance: run it as one process')
  })
  const unverified = new UnverifiedOutcomes(metrics, logger)
  const calls = new Calls()
  const refused = new RefusedOutcomes(recording)
  const inHand = new OutcomesInHand()
  const dropped = metrics.counter('denials_dropped_total', 'Denials that fell out of the full queue to the log')
  const denials = new Denials({ ...base, policies: judges.policies, record: recordDecisions }, () => dropped.inc())
  // Readiness does not depend on this: while Redis is away decisions go on by the log alone.
  const usable = 'Whether the grant store is used: 1; 0 while decisions go by the log alone'
  metrics.gauge('grant_store_usable', usable, [], (gauge) =>
    gauge.set(adapters.grantStore.unhealthy?.() === undefined ? 1 : 0),
  )
  const decisions = metrics.counter('decisions_total', 'Decisions by answer and reason', ['decision', 'reason'])
  // Prometheus sees no increase in a series that first appears with 1, so the first failure would go unnoticed.
  decisions.inc({ decision: 'deny', reason: 'internal' }, 0)
  metrics.gauge('calls_at_once', 'How many calls are begun at once at most, as things are', [], (gauge) =>
    gauge.set(deciding.intake.window),
  )
  const seconds = metrics.histogram('decision_seconds', 'Time of one decision, evidence included')
  const openCalls = new OpenCalls({ ...state, clock })
  const unsubscribe = projection.onFact((fact) => {
    judges.approvals.onFact(fact)
    openCalls.onFact(fact)
    queues.onFact(fact)
  })
  for (const tree of projection.ledger.grants.trees.values()) void judges.approvals.of(tree)

  /** Any error becomes a denial (V13), and every denial is evidence. */
  const decideSafely = async (point: CallingPoint, request: EvaluationRequest, from: From): Promise<Answer> => {
    try {
      return await decide(deciding, queues, point, request, from)
    } catch (error) {
      const code = errorCode(error)
      if (code === 'decision_quota_exceeded') denials.overQuota(point)
      if (turnedAway.has(code)) {
        decisions.inc({ decision: 'deny', reason: code })
        throw error
      }
      logger.error({ err: error }, 'a decision failed')
      return deny('internal')
    }
  }
  const deny = (reason: DenialReason): Answer => ({
    decision: false,
    decisionId: newId('dec', clock.now(), random),
    callId: undefined,
    reason,
  })
  const decideOnce = async (point: CallingPoint, request: EvaluationRequest, from: From): Promise<Answer> => {
    const stop = seconds.startTimer()
    const answered = await decideSafely(point, request, from)
    stop()
    tell(point, request, answered)
    return answered
  }
  const tell = (point: CallingPoint, request: EvaluationRequest, answered: Answer) => {
    if (answered.decision) return decisions.inc({ decision: 'allow', reason: 'allowed' })
    decisions.inc({ decision: 'deny', reason: answered.reason })
    denials.add(point, request, answered)
  }
  const again = async (point: CallingPoint, request: EvaluationRequest, first: Answer): Promise<Answer> => {
    if (!first.decision) return first
    const why = await whyNotAgain(deciding, point, request).catch((): DenialReason => 'internal')
    if (why === undefined && clock.now() < first.permitEndsAt) return first
    const denied = deny(why ?? 'call_elsewhere')
    tell(point, request, denied)
    return denied
  }
  const answer = async (point: CallingPoint, request: EvaluationRequest, from: From): Promise<Answer> => {
    if (request.observed.call_id === undefined) return decideOnce(point, request, from)
    const known = calls.find(point, request, clock.now(), from.isGone)
    if (known === 'conflict' || known === 'elsewhere') {
      const denied = deny(known === 'conflict' ? 'call_conflict' : 'call_elsewhere')
      tell(point, request, denied)
      return denied
    }
    if (known) {
      from.turn?.leave() // the first answer may belong to another item of the same request, which would wait for this one
      return again(point, request, await known)
    }
    return calls.decide(
      point,
      request,
      (areGone) => decideOnce(point, request, { ...from, isGone: areGone }),
      from.isGone,
    )
  }

  // Outcomes have a limit of their own, so that they are accepted however many decisions are asked for.
  const pointCalls = config.pointCalls ?? defaults.pointCalls
  const [points, outcomes] = [new UnderWay(pointCalls), new UnderWay(pointCalls)]
  // Each start of a point asks about all its calls at once.
  const watching = new UnderWay(4)
  const searches = new Searches(deciding)
  const service: PolicyDecision = {
    pdp: { clock, ...state, ...judges, bindingKey: keys.bindingToken },
    queues,
    authenticate(caller) {
      try {
        return callers.authenticate(caller)
      } catch (error) {
        denials.unauthenticated()
        throw error
      }
    },
    admit(caller) {
      const point = service.authenticate(caller)
      points.requireRoom(point.id)
      return point
    },
    decide: (point, request, from = {}) => points.run(point.id, () => answer(point, request, from)),
    search: (point, search) => searches.run(point, search),
    openCalls: (point, asked, isGone) =>
      watching.run(`${point.id} ${point.instance}`, () => openCalls.ask(point, asked, isGone)),
    reportOutcome: (point, jws) =>
      outcomes.run(point.id, async () => {
        try {
          await reportOutcome({ projection, trust, grantStore }, queues, point, jws, refused, inHand)
        } catch (error) {
          if (errorKinds[errorCode(error)].status === 401) unverified.add(point, errorCode(error))
          throw error
        }
      }),
    async [Symbol.asyncDispose]() {
      clearInterval(sweep)
      deciding.intake[Symbol.dispose]()
      await sweeping
      await denials[Symbol.asyncDispose]()
      await refused[Symbol.asyncDispose]()
      await differences[Symbol.asyncDispose]()
      await shadow[Symbol.asyncDispose]()
      // Before the last head, after which nothing can be taken back.
      await queues.settled(settledWithinMs)
      await keptCalls[Symbol.asyncDispose]()
      unsubscribe()
      await participant[Symbol.asyncDispose]()
    },
  }
  let sweeping: Promise<void> | undefined
  const grace = new OutcomeGrace({
    fresh: () => projection.fresh(),
    monotonic: clock.monotonic,
    dueMs: deciding.outcomeSeconds * 1000,
  })
  const sweep = setInterval(() => {
    if (grace.isOver())
      sweeping ??= sweepMissing({ projection, clock }, queues, inHand).finally(() => {
        sweeping = undefined
      })
    projection.ledger.forgetEndedBefore(clock.now() - hourMs)
  }, sweepEveryMs)
  const pageTokens = new PageTokens({ key: random(32), now: clock.now, lifeMs: pageTokenLifeMs })
  authZenRoutes(http, pipelineDecider(service), { publicUrl: config.publicUrl, pageTokens, clock })
  outcomesRoute(http, service)
  openCallsRoute(http, service)
  operatorRoutes(operator, keptCalls, {
    isFresh: () => projection.fresh(),
    pointsWithoutInstance: () => pointsWithoutInstance(projection, clock.now()),
  })
  metadataRoutes(http, { ...state, clock })
  health.check('pdp-fresh', () => (projection.fresh() ? undefined : 'the state is not proved fresh'))
  health.check('pdp-policies', () => (judges.policies.current() ? undefined : 'the active policy set is not here'))
  return service
}
