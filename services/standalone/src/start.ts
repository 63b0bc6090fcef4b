import { approvalKeys, startApproval } from '@bailiwick/approval/start'
import { evidenceKeys, startEvidence } from '@bailiwick/evidence/start'
import type { GrantStore } from '@bailiwick/grant-store'
import { sinksOf } from '@bailiwick/host'
import type { Host } from '@bailiwick/host/process'
import { readGenesis } from '@bailiwick/installation'
import { issuerKeys, restoredFrom, type StartedIssuer, startIssuer } from '@bailiwick/issuer/start'
import {
  type PolicyDecision,
  type PolicyDecisionAdapters,
  policyDecisionKeys,
  startPolicyDecision,
} from '@bailiwick/policy-decision/start'
import type { StandaloneConfig } from './config.ts'

export interface Standalone extends AsyncDisposable {
  issuer: StartedIssuer
  evidence: Awaited<ReturnType<typeof startEvidence>>
  policyDecision: PolicyDecision
}

export interface StandaloneAdapters {
  grantStore: GrantStore
  wrapRecord?: NonNullable<PolicyDecisionAdapters['wrapRecord']>
}

/** Longer than any machine needs. After that, the other services start without the genesis, and stand by. */
const genesisWithinMs = 60_000

/**
 * All four services in one process, on one bus and one pair of servers. They form one trust domain: an attacker who takes over this process
 * has everything (DESIGN §3).
 */
export async function startStandalone(
  config: StandaloneConfig,
  host: Host,
  { grantStore, wrapRecord }: StandaloneAdapters,
): Promise<Standalone> {
  const { data, settings } = host
  const decisionSettings = {
    ...settings,
    decisionDeadlineMs: config.BAILIWICK_DECISION_DEADLINE,
    keepCalls: config.BAILIWICK_KEEP_CALLS,
    compareOneIn: config.BAILIWICK_COMPARE_ONE_IN,
    agentDecisionsPerMinute: config.BAILIWICK_DECISIONS_PER_MINUTE_AGENT,
    grantDecisionsPerMinute: config.BAILIWICK_DECISIONS_PER_MINUTE_GRANT,
  }
  const notify = { webhook: config.BAILIWICK_NOTIFY_WEBHOOK, format: config.BAILIWICK_NOTIFY_FORMAT }
  await using started = new AsyncDisposableStack()
  const genesis = readGenesis(data)
  // The issuer starts first: it publishes the genesis, and its heads make the others fresh.
  const issuer = started.use(
    await startIssuer(
      {
        ...settings,
        credentialSeconds: config.BAILIWICK_CREDENTIAL_SECONDS,
        keyRotationDays: config.BAILIWICK_KEY_ROTATION_DAYS,
        agentCallsPerSecond: config.BAILIWICK_AGENT_CALLS_PER_SECOND,
      },
      {
        ...host,
        genesis,
        restored: restoredFrom(data),
        keys: issuerKeys(host),
      },
    ),
  )
  // On a slow machine the issuer may stand by for a moment, and the start-up messages are made from the registry.
  const { registry } = issuer.projection.ledger
  const isThere = () => genesis.entities.every(({ type, id }) => registry.record(type, id)) || undefined
  await issuer.projection.until(isThere, genesisWithinMs)
  const evidence = started.use(
    await startEvidence(
      {
        ...settings,
        logPublic: config.BAILIWICK_LOG_PUBLIC,
        witnessPolicy: config.BAILIWICK_WITNESS_POLICY,
        sinks: sinksOf(config),
      },
      {
        ...host,
        keys: evidenceKeys(host),
      },
    ),
  )
  const policyDecision = started.use(
    await startPolicyDecision(decisionSettings, {
      ...host,
      grantStore,
      keys: policyDecisionKeys(host),
      ...(wrapRecord ? { wrapRecord } : {}),
    }),
  )
  started.use(
    await startApproval(
      { ...settings, notify, requestLifeSeconds: config.BAILIWICK_REQUEST_SECONDS },
      {
        ...host,
        keys: approvalKeys(host),
      },
    ),
  )
  const owned = started.move()
  return { issuer, evidence, policyDecision, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}
