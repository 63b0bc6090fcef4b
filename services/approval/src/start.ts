import type { SigningKey } from '@bailiwick/credentials'
import { type NotificationFormat, observeProjection, type SafePost, safePost, showStanding } from '@bailiwick/host'
import type { Adapters, Host } from '@bailiwick/host/process'
import { paths, policySetOf, storePolicyFiles } from '@bailiwick/installation'
import { openSuccessor } from '@bailiwick/instance'
import { inBackground, newId, RateLimiter, SerialQueue } from '@bailiwick/kit'
import { expireRequests, forgetRequests, rememberMs } from './asks/expire-requests.ts'
import { receiveFromTopic } from './asks/receive-from-topic.ts'
import { reopenRequests } from './asks/reopen-requests.ts'
import { Workloads } from './asks/workloads.ts'
import type { ApprovalConfig } from './config.ts'
import { evidenceAuthorization } from './console/evidence-authorization.ts'
import { evidenceReader } from './console/evidence-reader.ts'
import type { Approval } from './context.ts'
import { emergencyRoutes } from './emergency/routes.ts'
import { accessRequestRoutes } from './http/access-requests.ts'
import { AgentProofs } from './http/agent-proofs.ts'
import { answerRoutes } from './http/answers.ts'
import { knowPeople } from './http/browser.ts'
import { consoleRoutes } from './http/console.ts'
import { evidenceRoutes } from './http/evidence.ts'
import { identityRoutes } from './http/identity.ts'
import { notificationKeyRoutes } from './http/notification-keys.ts'
import { operatorRoutes } from './http/operator.ts'
import { pageRoutes } from './http/page.ts'
import { peopleRoutes } from './http/people.ts'
import { pointsRoutes } from './http/points.ts'
import { workbenchRoutes } from './http/workbench.ts'
import { Callbacks } from './notify/callbacks.ts'
import { Notifier } from './notify/notifier.ts'
import { webhookSink } from './notify/webhook.ts'
import { observeRequestsOf } from './observe.ts'
import { OwnRequests } from './own-requests.ts'
import { Enrolment } from './people/enrol.ts'
import { People } from './people/people.ts'
import { Registrations } from './people/registrations.ts'
import { Sessions } from './people/sessions.ts'
import { SignCounts } from './people/sign-counts.ts'
import { Prose } from './prose.ts'
import { ManifestTexts } from './registry/manifest-texts.ts'
import { policyTexts } from './registry/policy-texts.ts'
import { Transient } from './transient.ts'

export interface ApprovalAdapters extends Adapters {
  keys: {
    event: SigningKey<'approval-event'>
    notification: SigningKey<'notification'>
    /** Authenticates at a remote evidence service. Without it, approval reads there as a stranger. */
    auditor?: SigningKey<'auditor'> | undefined
  }
  /** Only tests send callbacks elsewhere than to public addresses. */
  post?: SafePost
}

/** Its keys, from its folder of the data directory. The auditor's key is made by hand, if evidence runs elsewhere. */
export const approvalKeys = ({ key }: Pick<Host, 'key'>): ApprovalAdapters['keys'] => ({
  event: key('approval', 'event', 'approval-event'),
  notification: key('approval', 'notification', 'notification'),
})

const sweepEveryMs = 1000
const forgetEveryMs = 60_000
/** Asks of one agent. People could never answer as many. */
const asksOfAnAgent = { perSecond: 10, burst: 100, maxKeys: 100_000 }

/**
 * Starts approval, the sole writer of requests and of people's signed answers; it can approve nothing by itself. One instance is active.
 * It is this one when the promise resolves, unless another one is; a second instance follows everything and stands by.
 */
export async function startApproval(config: ApprovalConfig, adapters: ApprovalAdapters): Promise<AsyncDisposable> {
  const { bus, trust, keys, clock, random, logger, health, metrics, http, operator, onFatal } = adapters
  await using started = new AsyncDisposableStack()
  const { onStanding, gate } = showStanding('approval', { health, metrics, logger })
  const successor = started.use(
    await openSuccessor({
      bus,
      trust,
      service: 'approval',
      instance: config.instance,
      eventKey: keys.event,
      otherKeys: [keys.notification],
      onKeyMissing: (missing) => logger.error(missing, 'A KEY IS MISSING HERE'),
      follows: ['approvals.v1', 'grants.v1', 'revocations.v1', 'decisions.v1'],
      time: clock,
      newEventId: () => newId('evt', clock.now(), random),
      maxStalenessMs: config.maxStalenessMs,
      snapshots: adapters.snapshots?.('approval'),
      onFatal,
      onHeadError: (err) => logger.warn({ err }, 'a head could not be published'),
      onStanding,
    }),
  )
  const prose = started.use(new Prose())
  await prose.follow(bus, successor.keyRing, { now: clock.now(), onFatal })
  const publicUrl = config.publicUrl.replace(/\/$/, '')
  const approval: Approval = {
    ...successor,
    trust,
    publicUrl,
    requestLifeMs: (config.requestLifeSeconds ?? 3600) * 1000,
    clock,
    random,
    logger,
    prose,
    policyText: policyTexts(adapters.data),
    storePolicies: (files) => storePolicyFiles(paths(adapters.data).policies(policySetOf(files).hash), files),
    manifests: new ManifestTexts(),
    workloads: new Workloads({ clock, publicUrl }),
    own: new OwnRequests(successor.projection),
    folded: new Transient<string>({ lifeMs: rememberMs, max: 100_000, clock }),
    asks: new RateLimiter({ ...asksOfAnAgent, clock }),
    callbackWishes: new Transient({ lifeMs: rememberMs, max: 10_000, clock }),
    signCounts: started.use(new SignCounts(successor.projection)),
    lanes: new SerialQueue({ maxPerKey: 256, max: 10_000 }),
  }
  const sessions = new Sessions(approval)
  const proofs = new AgentProofs(clock, random)
  accessRequestRoutes(http, approval, proofs)
  pointsRoutes(http, approval)
  knowPeople(http, sessions)
  const registrations = new Registrations(approval)
  const people = new People(approval, registrations)
  identityRoutes(http, approval, { sessions, people, enrolment: new Enrolment(approval, registrations) })
  peopleRoutes(http, trust.origins, people, sessions)
  answerRoutes(http, approval, sessions)
  notificationKeyRoutes(http, approval)
  started.use(consoleRoutes(http, approval, sessions))
  const auditor = keys.auditor && evidenceAuthorization(keys.auditor, approval)
  const evidence = evidenceReader(adapters.data, config.evidenceUrl, auditor)
  evidenceRoutes(http, approval, { evidence, sessions })
  workbenchRoutes(http, approval, { evidence, sessions })
  emergencyRoutes(http, approval, sessions)
  operatorRoutes(operator, approval)
  pageRoutes(http)
  const { countFromTopic } = observeRequestsOf(approval, metrics)
  health.check('approval-fresh', () => (successor.projection.fresh() ? undefined : 'the state is not proved fresh'))
  gate(successor.standby)
  observeProjection('approval', successor.projection, { metrics, clock, producer: successor.producer })
  await successor.standBy(async () => {
    // An empty registry means that there is no agent yet: no earlier approval instance can have taken a proof.
    proofs.begin(successor.projection.ledger.registry.records().length === 0)
    await using work = new AsyncDisposableStack()
    work.use(inBackground(receiveFromTopic(approval, bus, countFromTopic), onFatal))
    work.use(sweep(approval))
    work.use(new Callbacks(approval, { post: adapters.post ?? safePost(), key: keys.notification, metrics }))
    // Only the active instance sends them: two would tell everything twice.
    const { webhook, format = 'json' } = config.notify ?? {}
    if (webhook !== undefined) work.use(notifier(approval, { webhook, format }, adapters))
    work.use(reopenRequests(approval))
    return work.move()
  })
  const owned = started.move()
  return { [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

function notifier(
  approval: Approval,
  { webhook: url, format }: { webhook: string; format: NotificationFormat },
  { keys, metrics }: ApprovalAdapters,
): AsyncDisposable {
  const { installation } = approval.trust
  const sink = webhookSink({ url, format, installation, key: keys.notification, clock: approval.clock })
  return new Notifier(approval, { sink, metrics })
}

function sweep(approval: Approval): AsyncDisposable {
  let running: Promise<void> = Promise.resolve()
  let busy = false
  const timer = setInterval(() => {
    if (busy) return
    busy = true
    running = expireRequests(approval).finally(() => {
      busy = false
    })
  }, sweepEveryMs)
  const forgetting = setInterval(() => forgetRequests(approval), forgetEveryMs)
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      clearInterval(forgetting)
      await running
    },
  }
}
