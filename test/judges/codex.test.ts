import type { Denial } from '@bailiwick/agent'
import type { Action } from '@bailiwick/credentials'
import { withResolvers } from '@bailiwick/kit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { asksForWrites } from '../e2e/asking.ts'
import { actionOf } from './action-of.ts'
import { runCodex } from './codex.ts'
import { startFixture } from './fixture.ts'
import { type Installation, openInstallation } from './installation.ts'
import { lacksJudges } from './programs.ts'
import { scriptedModel, type Turn } from './scripted-model.ts'
import { startSidecar } from './sidecar.ts'

const tool = 'test_simple_text'
const call: Turn = { tool, namespace: 'mcp__tools', arguments: {} }

describe.skipIf(lacksJudges)('Codex CLI, unmodified, with a model that follows a script', () => {
  const opened = new AsyncDisposableStack()
  let world: Installation
  let fixture: { url: string }

  beforeAll(async () => {
    fixture = opened.use(await startFixture())
    world = opened.use(
      await openInstallation({
        servers: { tools: { url: fixture.url, denials: 'result' } },
        labels: { [`tools/${tool}`]: ['writes'] },
        policies: asksForWrites,
      }),
    )
  })
  afterAll(() => opened.disposeAsync())

  it('is denied, asks, is approved, calls, and is stopped', async () => {
    const { agent, approver, url: gateway } = world
    const grant = await world.grant('tools')
    const asked = withResolvers<{ denial: Denial; action: Action }>()
    await using sidecar = await startSidecar({
      ...{ agent, gateway, actionOf },
      grant: () => grant,
      onDenial: (denial, action) => asked.resolve({ denial, action }),
    })
    const seen: string[] = []
    await using model = await scriptedModel([
      () => call,
      async ({ output }) => {
        seen.push(output)
        const { denial, action } = await asked.promise
        const { requestId } = await agent.request({
          ...{ authority: grant.authority, action, answering: denial },
          ...{ mode: 'per_action', grantId: grant.grantId, expiresInSeconds: 300 },
        })
        await approver.approve(requestId)
        return call
      },
      async ({ output }) => {
        seen.push(output)
        await approver.withdraw(grant.requestId)
        return call
      },
      ({ output }) => {
        seen.push(output)
        return { say: 'finished' }
      },
    ])
    const { code, out, err } = await runCodex({ model: model.url, mcp: `${sidecar.url}/mcp/tools`, prompt: 'go' })
    expect({ code, seen, out, err }).toMatchObject({
      code: 0,
      seen: [
        expect.stringContaining('step_up_required'),
        expect.stringContaining('This is a simple text response for testing.'),
        expect.not.stringContaining('This is a simple text response for testing.'),
      ],
      out: expect.stringContaining('finished'),
    })
  })
})
