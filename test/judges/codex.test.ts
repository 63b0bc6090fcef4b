import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { asksForWrites } from '../e2e/asking.ts'
import { runCodex } from './codex.ts'
import { startFixture } from './fixture.ts'
import { cli, type Installation, openInstallation } from './installation.ts'
import { lacksJudges } from './programs.ts'
import { scriptedModel, type Turn } from './scripted-model.ts'

const tool = 'test_simple_text'
const said = 'This is a simple text response for testing.'
const call = (name: string, args: object = {}): Turn => ({ tool: name, namespace: 'mcp__tools', arguments: args })

describe.skipIf(lacksJudges)('Codex CLI, unmodified, with a model that follows a script', () => {
  const opened = new AsyncDisposableStack()
  let world: Installation

  beforeAll(async () => {
    const fixture = opened.use(await startFixture())
    world = opened.use(
      await openInstallation({
        servers: { tools: { url: fixture.url } },
        labels: { [`tools/${tool}`]: ['writes'] },
        policies: asksForWrites,
      }),
    )
  })
  afterAll(() => opened.disposeAsync())

  it('is denied, asks for its own task, is approved, calls, waits for a yes, and is stopped', async () => {
    const { approver } = world
    /** The person sees what waits, a task or one action, and says yes. */
    const approveNext = async (): Promise<string> => {
      const waiting = async () => {
        const page = await approver.get<{ items: { id: string }[] }>('/console/api/requests?state=pending')
        return page.items.map(({ id }) => id)
      }
      await expect.poll(waiting).toHaveLength(1)
      const [id = ''] = await waiting()
      await approver.approve(id)
      return id
    }
    const seen: string[] = []
    const approvals: Promise<string>[] = []
    await using model = await scriptedModel([
      () => call(tool),
      ({ output }) => {
        seen.push(output)
        approvals.push(approveNext())
        return call('bailiwick_request_access', {
          task: 'read-a-simple-text',
          permissions: [{ tool }],
          limits: { minutes: 10, calls: 10 },
          reason: 'The user asked for the text.',
        })
      },
      async ({ output }) => {
        seen.push(output)
        await approvals[0]
        // Each call of this tool needs a yes of its own, for which the call stays open.
        approvals.push(approveNext())
        return call(tool)
      },
      async ({ output }) => {
        seen.push(output)
        await approver.withdraw((await approvals[0]) ?? '')
        return call(tool)
      },
      ({ output }) => {
        seen.push(output)
        return { say: 'finished' }
      },
    ])
    const mcp = [cli, ...world.sidecar('tools'), '--hold-seconds', '55']
    const { code, out, err } = await runCodex({ model: model.url, mcp, prompt: 'go' })
    expect({ code, seen, out, err }).toMatchObject({
      code: 0,
      seen: [
        expect.stringContaining('bailiwick_request_access'),
        expect.stringContaining('Approved'),
        expect.stringContaining(said),
        expect.not.stringContaining(said),
      ],
      out: expect.stringContaining('finished'),
    })
    await Promise.all(approvals)
  })
})
