// Names that programs in the documentation take from the program around them. packages.test.ts compiles each block beside these names.
import type { Agent, AgentOptions, PublicJwk } from '@bailiwick/agent'
import type { EnforcementPointOptions } from '@bailiwick/pep'

declare global {
  const agent: Agent
  /** A sub-agent. */
  const reader: Agent
  const agentId: string
  const installation: string
  const baseUrl: string
  const now: AgentOptions['now']
  const random: AgentOptions['random']
  const readersKey: PublicJwk
  const grantId: string
  const authority: { type: 'bailiwick_task'; task: string; permissions: object[]; budget: object }
  const onlyReading: object
  const url: string
  const server: string
  const data: string
  const action: string
  const resource: { type: string; id: string }
  const properties: Record<string, unknown>
  /** A call of a tool, as MCP writes it. */
  const message: { method: 'tools/call'; params: { name: string; arguments: Record<string, unknown> } }
  const call: Parameters<Agent['fetch']>[2] & { action: string; resource: { type: string; id: string } }
  const options: EnforcementPointOptions
  const fileOutcomeStore: typeof import('@bailiwick/pep').fileOutcomeStore
  const readInvoice: (invoice: string) => Promise<{ total: string }>
}
