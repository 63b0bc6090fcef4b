import { approvalApi } from './approval/index.ts'
import { evidenceApi } from './evidence.ts'
import { gatewayApi } from './gateway.ts'
import { issuerApi } from './issuer.ts'
import { plainPdpApi } from './plain-pdp.ts'
import { policyDecisionApi } from './policy-decision.ts'
import type { Api } from './route.ts'

export * from './answers.ts'
export * from './approval/agents.ts'
export * from './approval/console.ts'
export * from './approval/operator.ts'
export * from './approval/passkeys.ts'
export * from './approval/points.ts'
export * from './approval/views.ts'
export * from './approval/workbench.ts'
export * from './authzen.ts'
export * from './evidence.ts'
export * from './gateway.ts'
export * from './issuer.ts'
export * from './plain-pdp.ts'
export * from './policy-decision.ts'
export * from './route.ts'
export * from './search.ts'

/** The HTTP routes of every service, by the service's folder. */
export const apis = {
  approval: approvalApi,
  evidence: evidenceApi,
  gateway: gatewayApi,
  issuer: issuerApi,
  'plain-pdp': plainPdpApi,
  'policy-decision': policyDecisionApi,
} as const satisfies Readonly<Record<string, Api>>
