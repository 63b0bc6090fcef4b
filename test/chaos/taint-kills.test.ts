import type { Agent } from '@bailiwick/agent'
import { jcsHash } from '@bailiwick/credentials'
import { systemClock, systemRandom } from '@bailiwick/kit'
import { sample, sampleAuthority } from '@bailiwick/standalone/sample'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import { enrolApprover, preparePlace } from '@bailiwick/testkit'
import { expect, it } from 'vitest'
import { startInvoicesApi } from '../demo/invoices-api.ts'
import { eventually } from '../e2e/world.ts'
import { standalone } from './standalone.ts'
import { tally } from './tally.ts'

/** The sample API's tools, as if they were those of a leak. */
const tools = {
  read: { labels: ['reads_private'] },
  delete: { labels: ['reads_untrusted'] },
  adjust: { labels: ['external_send'] },
}
type Tool = keyof typeof tools
const authority = {
  ...sampleAuthority,
  permissions: Object.keys(tools).map((name) => ({
    actions: ['tools/call'],
    resource: { type: 'tool', id: `${sample.toolServer}/${name}` },
  })),
  budget: { calls: 50 },
}
const bodies: Record<Tool, Record<string, string>> = {
  read: { invoice: 'INV-1' },
  delete: { invoice: 'INV-2' },
  adjust: { invoice: 'INV-1', amount: '1', currency: 'EUR' },
}

// Each in an installation of its own: the agents of one owner are tainted together.
it.each<[Tool, Tool]>([
  ['read', 'delete'],
  ['delete', 'read'],
])(
  'a SIGKILL right after a tainting step (%s, then %s) washes nothing off, in this task, in the next, or for its owner (V2)',
  {
    timeout: 300_000,
  },
  async (...taints) => {
    const place = await preparePlace({
      entities: (all) =>
        all.map((entity) =>
          entity.type === 'tool-server'
            ? { ...entity, value: { ...entity.value, tools, manifest: jcsHash(tools) } }
            : entity,
        ),
    })
    const { data, url, invoicesUrl, trust } = place
    const system = standalone(place)
    system.start()
    await system.ready()
    const approver = await enrolApprover({ url, data })
    const invoices = await startInvoicesApi(place)
    try {
      const [agent, colleague] = sample.agents.map((name) =>
        sampleAgent({ data, trust, clock: systemClock, random: systemRandom }, name),
      ) as [Agent, Agent]
      const task = async (agent: Agent) => {
        const { requestId } = await agent.request({ authority, mode: 'window', expiresInSeconds: 600 })
        // Sessions do not outlive their process.
        await approver.signIn().catch(() => undefined)
        const { grant_id: grantId } = await approver.approve(requestId)
        return grantId ?? ''
      }
      /** What was decided; what only says that the system is busy starting is asked again. */
      const call = (agent: Agent, grantId: string, tool: Tool) =>
        eventually(async () => {
          const resource = { type: 'tool', id: `${sample.toolServer}/${tool}` }
          const init = {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify(bodies[tool]),
          }
          const about = { grant: { grantId }, action: 'tools/call', resource, properties: bodies[tool] }
          const response = await agent.fetch(`${invoicesUrl}/${tool}`, init, about).catch(() => undefined)
          if (response === undefined) return undefined
          const { code } = (await response.json()) as { code?: string }
          // An invoice that is gone was deleted: the effect came after the ALLOW.
          if (response.ok || code === 'entity_unknown') return 'allowed'
          return code === 'policy_denied' ? code : undefined
        })
      const grantId = await task(agent)
      expect(await call(agent, grantId, 'adjust')).toBe('allowed')
      for (const tool of taints) {
        expect(await call(agent, grantId, tool)).toBe('allowed')
        await system.kill()
        tally('SIGKILL', 'standalone after a taint')
        system.start()
        await system.ready()
      }
      expect(await call(agent, grantId, 'adjust')).toBe('policy_denied')
      expect(await call(agent, await task(agent), 'adjust')).toBe('policy_denied')
      expect(await call(colleague, await task(colleague), 'adjust')).toBe('policy_denied')
    } finally {
      await invoices[Symbol.asyncDispose]()
      await system.stop()
      place.leave()
    }
    expect(system.crashes, system.output).toBe(0)
  },
)
