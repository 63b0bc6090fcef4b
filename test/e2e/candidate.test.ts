import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Agent, createAgent } from '@bailiwick/agent'
import { run } from '@bailiwick/cli'
import { paths, readPolicyFiles, storePolicyFiles } from '@bailiwick/installation'
import { sample, sampleAgentId, sampleAuthority, sampleKey } from '@bailiwick/standalone/sample'
import { expect, it, vi } from 'vitest'
import { audit } from '../audit.ts'
import { openWhole, toolCall, type Whole } from './whole.ts'

const shipped = readPolicyFiles(join(import.meta.dirname, '../../policies'))
const rule = '@id("no-third-call") forbid (principal, action, resource) when { context.history.task.calls >= 2 };'
const candidate = new Map([...shipped, ['mine.cedar', Buffer.from(rule)]])

function agentOf({ system }: Whole): Agent {
  const { trust, url, clock, random, data } = system
  const named = { agentId: sampleAgentId('reconciler'), instance: sample.instance, key: sampleKey(data, 'reconciler') }
  return createAgent({ ...named, installation: trust.installation, baseUrl: url, now: () => clock.now(), random })
}

async function policy<T>({ system: { clock, random, data } }: Whole, ...argv: string[]): Promise<T> {
  const lines: string[] = []
  const say = (line: string) => void lines.push(line)
  const code = await run(['policy', ...argv, '--json', '--data', data], { out: say, err: say, env: {}, clock, random })
  if (code === 2) throw new Error(lines.join('\n'))
  return JSON.parse(lines[0] ?? '') as T
}

interface Shadowed {
  candidate: string
  answers: number
  differences: { decision_id: string; kind: string }[]
}

it('a candidate’s answers to live decisions are on the log, deny no call, and leave the record sound', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'candidate-e2e-'))
  await using whole = await openWhole()
  const { system, approver, invoices } = whole
  const agent = agentOf(whole)
  // The registry's state 10 s before a decision is certain to have been read by the time of the decision.
  whole.time.ahead += 10_500
  storePolicyFiles(folder, candidate)
  const { candidate: hash } = await policy<{ candidate: string }>(whole, 'shadow', folder)
  const { requestId } = await agent.request({ authority: sampleAuthority, mode: 'window', expiresInSeconds: 3600 })
  await approver.approve(requestId)
  const { grantId = '' } = await agent.waitForDecision(requestId, { signal: AbortSignal.timeout(60_000) })
  const metrics = async () => (await fetch(`${system.url}/metrics`)).text()
  await expect.poll(metrics).toMatch(/^bailiwick_candidate_running\{.*\} 1$/m)
  const call = { grant: { grantId }, ...toolCall('read', { invoice: 'INV-1' }) }
  const status = async () => (await agent.fetch(`${system.invoicesUrl}/read`, { method: 'POST' }, call)).status
  // A busy machine may refuse one for lack of time, but a candidate's answer counts wherever the call was allowed.
  for (let n = 0; n < 4; n++) await expect.poll(status).toBe(200)
  expect(invoices.ledger.effects.read).toBe(4)

  const shadowed = async () => (await policy<Shadowed[]>(whole, 'shadow')).find(({ candidate }) => candidate === hash)
  interface Replayed {
    differences: { decision_id: string; kind: string; why: string }[]
  }
  await vi.waitFor(
    async () => {
      const { differences } = await policy<Replayed>(whole, 'replay', folder)
      expect(differences.length).toBeGreaterThanOrEqual(2)
      expect(new Set(differences.map(({ why }) => why))).toEqual(new Set(['by no-third-call']))
      const told = (await shadowed())?.differences.map(({ decision_id, kind }) => [decision_id, kind])
      expect(told).toEqual(differences.map(({ decision_id, kind }) => [decision_id, kind.replaceAll('_', ' ')]))
    },
    { timeout: 60_000, interval: 500 },
  )
  const { log, trust } = paths(system.data)
  expect((await audit({ logDir: log, trustPath: trust })).findings).toEqual([])
  rmSync(folder, { recursive: true })
})
