import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createAgent } from '@bailiwick/agent'
import { memoryOutcomeStore, type OutcomeStore, openEnforcementPoint } from '@bailiwick/pep'
import { guarded, toolGuard } from '@bailiwick/pep/in-process'
import { sample, sampleAgentId, sampleKey } from '@bailiwick/standalone/sample'
import { type Approver, enrolApprover, type System, startSystem } from '@bailiwick/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { lacksJudges } from './programs.ts'
import { type Loop, loops, type Script, type ToolOptions } from './tool-loops.ts'

// Tools in the agent's own process, in each framework's own loop, against a real installation. The model plays a script.

/** A busy machine may cause these: the script is then played again. */
const passing =
  /deadline_exceeded|evidence_unavailable|state_stale|queue_full|credential_unrecorded|service_unready|pdp_unavailable|permit_invalid|call_not_begun/
const tool = (name: string) => ({ type: 'tool', id: `${sample.toolServer}/${name}` })
const calls = { actions: ['tools/call'] }
const authority = {
  type: 'bailiwick_task',
  task: 'read-invoices',
  permissions: [
    { ...calls, resource: tool('read') },
    {
      ...calls,
      resource: tool('adjust'),
      where: { '/amount': { max: '500' }, '/currency': { in: ['EUR'] } },
      cost: { amount: '/amount', currency: '/currency' },
    },
  ],
  budget: { calls: 500, cost: { EUR: '5000' } },
}
const hides =
  '@id("hides") @redact("iban") permit (principal is agent, action == Action::"tools/call", resource is tool);'

if (!loops.has('Mastra'))
  console.warn('judges: MASTRA WAS NOT RUN: it is not installed. `npm run nightly -- mastra` does')

it('the adapter has at most 60 lines', () => {
  const file = join(import.meta.dirname, '../../packages/pep/src/in-process/guarded.ts')
  expect(readFileSync(file, 'utf8').trimEnd().split('\n').length).toBeLessThanOrEqual(60)
})

describe.skipIf(lacksJudges).each([...loops.keys()])('tools in the process of an agent of %s', (framework) => {
  const opened = new AsyncDisposableStack()
  let loop: Loop
  let system: System
  let approver: Approver

  beforeAll(async () => {
    loop = loops.get(framework) as Loop
    system = opened.use(
      await startSystem({ policies: (starter) => new Map([...starter, ['hides.cedar', Buffer.from(hides)]]) }),
    )
    approver = await enrolApprover(system)
  })
  afterAll(() => opened.disposeAsync())

  const agentAt = (baseUrl: string) =>
    createAgent({
      agentId: sampleAgentId('reconciler'),
      instance: sample.instance,
      key: sampleKey(system.data, 'reconciler'),
      installation: system.trust.installation,
      baseUrl,
      now: () => system.clock.now(),
      random: system.random,
      timeoutMs: 20_000,
    })

  /** Three tools that remember their calls, under a grant, with a point beside them. */
  async function opening({ pdpUrl = system.url, issuer = system.url } = {}, schemas: { adjust?: unknown } = {}) {
    const isAway = pdpUrl !== system.url || issuer !== system.url
    const agent = agentAt(system.url)
    const asked = { authority, mode: 'window' as const, expiresInSeconds: 3600, purpose: 'Read and adjust invoices.' }
    const { requestId } = await agent.request(asked)
    const { grant_id: grantId = '' } = await approver.approve(requestId)
    const kept: string[] = []
    const inMemory = memoryOutcomeStore()
    const store: OutcomeStore = {
      load: () => inMemory.load(),
      async save(state) {
        kept.push(...state.pending)
        await inMemory.save(state)
      },
    }
    const point = await openEnforcementPoint({
      id: sample.enforcementPoint,
      trust: system.trust,
      callerKey: sampleKey(system.data, 'point-caller'),
      outcomeKey: sampleKey(system.data, 'point-outcome'),
      pdpUrl,
      store,
      inProcess: true,
      timeoutMs: 20_000,
      maxSilenceMs: 60_000, // a busy machine is not silence
      now: () => system.clock.now(),
      random: system.random,
    })
    const guard = toolGuard({
      agent: agentAt(issuer),
      grant: { grantId },
      point,
      server: sample.toolServer,
      address: system.invoicesUrl,
    })
    const { z } = await loop.zod()
    const ran: [tool: string, input: unknown][] = []
    const options = (id: string, inputSchema: unknown, execute: (input: never) => unknown): ToolOptions => ({
      ...{ id, description: id, inputSchema },
      execute: guarded(guard, id, execute),
    })
    const tools = [
      options('read', z.object({ invoice: z.string() }), async (input: { invoice: string }) => {
        ran.push(['read', input])
        return `{"invoice":"${input.invoice}","total":"120.00","iban":"DE02120300000000202051"}`
      }),
      options(
        'adjust',
        schemas.adjust ?? z.object({ amount: z.number(), currency: z.string() }),
        async (input: object) => {
          ran.push(['adjust', input])
          throw new Error('the ledger is closed')
        },
      ),
      options('delete', z.object({ invoice: z.string() }), async (input: object) => ran.push(['delete', input])),
    ]
    return {
      ran,
      point,
      requestId,
      kept: () =>
        [...new Set(kept)].map((jws) => JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString())),
      async play(...script: Script) {
        for (let left = 5; ; left--) {
          ran.length = 0
          const said = await loop.play(tools, script)
          expect(said).toHaveLength(script.length)
          if (left === 0 || isAway || !said.some((each) => passing.test(each))) return said
        }
      },
      [Symbol.asyncDispose]: () => point[Symbol.asyncDispose](),
    }
  }

  it('run once with what was decided, and hide from the model what the decision hides', async () => {
    await using world = await opening()
    const [said] = await world.play(['read', { invoice: 'INV-1' }])
    expect(said).toContain('120.00')
    expect(said).toContain('[redacted]')
    expect(said).not.toContain('DE0212')
    expect(world.ran).toEqual([['read', { invoice: 'INV-1' }]])
    await world.point.delivered()
    expect(world.kept().at(-1)).toMatchObject({ status: 'succeeded', enforced_by: 'in_process' })
  })

  it('do not run after a denial, and the model reads why', async () => {
    await using world = await opening()
    const said = await world.play(
      ['delete', { invoice: 'INV-1' }],
      ['adjust', { amount: 501, currency: 'EUR' }],
      ['read', { invoice: 'INV-2' }],
    )
    expect(said).toEqual([
      expect.stringContaining('DENIED (action_not_granted)'),
      expect.stringContaining('DENIED (argument_out_of_bounds)'),
      expect.stringContaining('120.00'),
    ])
    expect(world.ran).toEqual([['read', { invoice: 'INV-2' }]])
  })

  it('get what was decided, also where the framework changes the arguments itself, once or twice', async () => {
    const { z } = await loop.zod()
    const inCents = z.object({ amount: z.number().transform((euros) => euros * 100), currency: z.string() })
    await using world = await opening({}, { adjust: inCents })
    const [said] = await world.play(['adjust', { amount: 4, currency: 'EUR' }])
    // 400 are within the bound. Mastra 1.71 validates twice, and makes 40,000 of them.
    if (framework === 'Mastra') expect(said).toContain('DENIED (argument_out_of_bounds)')
    expect(world.ran).toEqual(framework === 'Mastra' ? [] : [['adjust', { amount: 400, currency: 'EUR' }]])
  })

  it('are reported as failed when they fail', async () => {
    await using world = await opening()
    const call = ['adjust', { amount: 5, currency: 'EUR' }] as const
    expect(await world.play(call)).toEqual([expect.stringContaining('the ledger is closed')])
    expect(world.ran).toEqual([call])
    await world.point.delivered()
    expect(world.kept().at(-1)).toMatchObject({ status: 'failed', enforced_by: 'in_process' })
  })

  it('do not run after the task was withdrawn', async () => {
    await using world = await opening()
    expect(await world.play(['read', { invoice: 'INV-1' }])).toEqual([expect.stringContaining('120.00')])
    await approver.withdraw(world.requestId)
    expect(await world.play(['read', { invoice: 'INV-2' }])).toEqual([
      expect.stringMatching(/DENIED \((grant_revoked|credential_revoked|access_request_refused)\)/),
    ])
    expect(world.ran).toEqual([])
  })

  it.each([
    ['decision point', { pdpUrl: 'http://localhost:1' }, 'pdp_unavailable'],
    ['issuer', { issuer: 'http://localhost:1' }, 'service_unreachable'],
  ])('do not run without their %s', async (_, away, code) => {
    await using world = await opening(away)
    expect(await world.play(['read', { invoice: 'INV-1' }])).toEqual([expect.stringContaining(`DENIED (${code})`)])
    expect(world.ran).toEqual([])
  })
})
