// A user's program, which packages.test.ts compiles against the installed packages, strictly, with the TypeScript of users. It never runs.
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import {
  type Agent,
  type AgentOptions,
  createAgent,
  type Denial,
  denialOf,
  type ErrorCode,
  errorCode,
  generateKey,
  parseTrust,
  readKeyFile,
  type SigningKey,
  type Trust,
} from '@bailiwick/agent'
import { openSidecar, type Sidecar, serveStdio } from '@bailiwick/agent/sidecar'
import * as pep from '@bailiwick/pep'
import { guarded, type ToolGuard, toolGuard } from '@bailiwick/pep/in-process'
import { logSource, parseVkey, verifyBundleFile, verifyLog } from '@bailiwick/verify'
import { type AuditReport, audit } from '@bailiwick/verify/audit'

const key: SigningKey<'agent'> = readKeyFile('keys', 'reconciler', 'agent')
const trust: Trust = parseTrust(readFileSync('trust.json'))
const options: AgentOptions = {
  agentId: 'spiffe://example.com/agent/a',
  instance: 'i1',
  key,
  installation: trust.installation,
  baseUrl: trust.public_url,
  now: () => Date.now(),
  random: (length) => randomBytes(length),
}
const agent: Agent = createAgent(options)

// @ts-expect-error: the key of an enforcement point signs nothing for an agent
createAgent({ ...options, key: generateKey('outcome') })

export async function act(): Promise<Denial | undefined> {
  const call = { action: 'tools/call', resource: { type: 'tool', id: 'invoices/read' } }
  const named = { ...call, grant: { grantId: 'grt_1' }, properties: { invoice: 'INV-1' } }
  return denialOf(await agent.fetch('https://invoices.example/read', { method: 'POST' }, named), call)
}

export async function guard(): Promise<unknown> {
  await using point = await pep.openEnforcementPoint({
    id: 'invoices-api',
    trust,
    callerKey: pep.readKeyFile('keys', 'caller', 'pep-caller'),
    outcomeKey: pep.readKeyFile('keys', 'outcome', 'outcome'),
    pdpUrl: trust.public_url,
    store: pep.fileOutcomeStore('outcomes.json'),
    now: () => Date.now(),
    random: (length) => randomBytes(length),
    onProblem: (problem) => {
      const code: ErrorCode = errorCode(problem)
      console.error(code)
    },
  })
  const action: pep.Action = { name: 'tools/call', resource: { type: 'tool', id: 'invoices/read' }, properties: {} }
  const guarded = await point.guard(
    { credential: 'c', proof: 'p', htm: 'POST', htu: 'https://invoices.example/read', action },
    async (permitted) => permitted.action.properties,
  )
  return guarded.allowed ? guarded.result : guarded.reason
}

export async function verify(): Promise<AuditReport | string> {
  const vkey = parseVkey(trust.log.vkey)
  if (vkey === undefined) return 'no key'
  const source = logSource('evidence/log')
  const log = await verifyLog({ source, vkey })
  if (!log.ok) return log.reason
  const { report } = await verifyBundleFile(readFileSync('action.json'), { log: vkey })
  return report.ok ? audit({ log: source, trust }) : report.reason
}

export async function serve(input: AsyncIterable<Uint8Array>): Promise<void> {
  await using sidecar: Sidecar = openSidecar({
    agent,
    gateway: 'http://localhost:8425',
    server: 'notes',
    publicUrl: trust.public_url,
    random: (length) => randomBytes(length),
  })
  await serveStdio(sidecar, { input, write: (line) => console.log(line), signal: AbortSignal.timeout(1000) })
}

/** As frameworks type the options of a tool: the input follows from a schema, and the answer from `execute`. */
declare function createTool<I, R>(options: {
  inputSchema: (input: unknown) => I
  execute: (input: I, context: { abortSignal?: AbortSignal }) => Promise<R>
}): (input: I) => Promise<R>

export async function inProcess(point: pep.EnforcementPoint): Promise<number> {
  const address = 'http://localhost:8430'
  const tools: ToolGuard = toolGuard({ agent, grant: { grantId: 'grt_1' }, point, server: 'invoices', address })
  const read = createTool({
    inputSchema: (input: unknown) => input as { invoice: string },
    execute: guarded(tools, 'read', async ({ invoice }) => invoice.length),
  })
  return read({ invoice: 'INV-1' })
}
