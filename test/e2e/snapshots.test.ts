import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { logger as makeLogger } from '@bailiwick/host'
import { sample, sampleAuthority } from '@bailiwick/standalone/sample'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import { enrolApprover, freePort, type System, startSystem } from '@bailiwick/testkit'
import { expect, it } from 'vitest'
import { startInvoicesApi } from '../demo/invoices-api.ts'
import { openAdapters } from './adapters-under-test.ts'
import { eventually } from './world.ts'

/** What each service's start said of its snapshot. */
function hearing() {
  const starts: Record<string, string | undefined> = {}
  const write = (line: string) => {
    const said = JSON.parse(line) as { snapshot?: string; refused?: string; msg: string }
    if (said.snapshot !== undefined) starts[said.snapshot] ??= said.refused ?? said.msg
  }
  return { starts, logger: makeLogger({ service: 'test', level: 'info', destination: { write } }) }
}

async function call(system: System, grantId: string): Promise<string> {
  const response = await sampleAgent(system.host, 'reconciler').fetch(
    `${system.invoicesUrl}/adjust`,
    { method: 'POST' },
    {
      grant: { grantId },
      action: 'tools/call',
      resource: { type: 'tool', id: `${sample.toolServer}/adjust` },
      properties: { invoice: 'INV-1', amount: '1', currency: 'EUR' },
    },
  )
  const { code = 'ok' } = (await response.json()) as { code?: string }
  return code
}

/** `ok`, or why not, once a busy machine decides at all. */
const answer = (system: System, grantId: string) =>
  eventually(async () => {
    const said = await call(system, grantId).catch((error: { code?: string }) => error.code ?? 'internal')
    return /unavailable|stale|deadline|standby|unready/.test(said) ? undefined : said
  })

it('a system that starts again goes on from its snapshots: what was spent is spent, and what came since counts (V7, V9)', async () => {
  const data = mkdtempSync(join(tmpdir(), 'e2e-snapshots-'))
  await using adapters = await openAdapters()
  const { bus, store: grantStore } = adapters
  const place = { data, port: await freePort(), invoicesPort: await freePort(), adapters: { bus, grantStore } }
  let grantId = ''
  try {
    {
      await using system = await startSystem(place)
      await using _ = await startInvoicesApi(system, { timeoutMs: 12_000 })
      const approver = await enrolApprover(system)
      const agent = sampleAgent(system.host, 'reconciler')
      const ask = agent.signRequest({ authority: sampleAuthority, mode: 'window', expiresInSeconds: 3000 })
      const { requestId } = await agent.request(ask)
      grantId = (await approver.approve(requestId)).grant_id ?? ''
      for (let calls = 0; calls < 6; calls++) expect(await answer(system, grantId)).toBe('ok')
    }
    for (const round of [1, 2]) {
      const { starts, logger } = hearing()
      await using system = await startSystem({ ...place, logger })
      await using _ = await startInvoicesApi(system, { timeoutMs: 12_000 })
      const begun = 'starts from a snapshot'
      expect(starts).toEqual({ issuer: begun, 'policy-decision': begun, approval: begun })
      for (let calls = 0; calls < 2; calls++) expect(await answer(system, grantId)).toBe('ok')
      if (round === 1) continue
      expect(await answer(system, grantId)).toBe('uses_exhausted')
      const revocation = { kind: 'grant', target: grantId }
      await system.host.operator.inject({ method: 'POST', url: '/operator/revocations', payload: revocation })
    }
    const { starts, logger } = hearing()
    await using system = await startSystem({ ...place, logger })
    await using _ = await startInvoicesApi(system, { timeoutMs: 12_000 })
    expect(starts['policy-decision']).toBe('starts from a snapshot')
    expect(await answer(system, grantId)).toMatch(/revoked|refused/)
  } finally {
    rmSync(data, { recursive: true, force: true })
  }
})
