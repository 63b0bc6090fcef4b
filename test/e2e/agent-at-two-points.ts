import { createAgent } from '@bailiwick/agent'
import { sample, sampleAgentId, sampleKey } from '@bailiwick/standalone/sample'
import { adjust } from './agent-side.ts'
import type { TwoPoints } from './two-points.ts'

/**
 * The SDK at an API whose enforcement point reaches the two decision points in turn, as behind one front. A call
 * returns its status, the number of proofs it took, and the reason of a denial.
 */
export function agentAt({ system, points }: TwoPoints): {
  call(): Promise<{ status: number; proofs: number; reason: string | undefined }>
} {
  const { world, grant } = system
  const asked = adjust('1')
  let tries = 0
  const reach: typeof fetch = async (input, init = {}) => {
    const { origin, pathname } = new URL(String(input))
    const headers = new Headers(init.headers)
    if (origin === new URL(world.url).origin) {
      if (init.body instanceof URLSearchParams) headers.set('content-type', 'application/x-www-form-urlencoded')
      const sent = { method: 'POST' as const, url: pathname, headers: Object.fromEntries(headers) }
      const answer = await world.http.inject({ ...sent, payload: String(init.body ?? '') })
      const nonce = answer.headers['dpop-nonce']
      const named = typeof nonce === 'string' ? { 'dpop-nonce': nonce } : {}
      return new Response(answer.payload, { status: answer.statusCode, headers: named })
    }
    const point = points[tries++ % points.length] ?? points[0]
    const credential = headers.get('authorization')?.replace('DPoP ', '')
    const { body } = point.body({ credential, ...asked, observed: { proof: headers.get('dpop') } })
    const { decision, context } = (await point.send(body)).json() as Answer
    if (decision) return new Response('{}')
    const { dpop_nonce: nonce } = context
    const wanted = nonce && { 'dpop-nonce': nonce, 'www-authenticate': 'DPoP error="use_dpop_nonce"' }
    return new Response(JSON.stringify(context), { status: nonce === undefined ? 403 : 401, headers: wanted || {} })
  }
  const agent = createAgent({
    agentId: sampleAgentId('reconciler'),
    instance: sample.instance,
    key: sampleKey(world.data, 'reconciler'),
    installation: world.trust.installation,
    baseUrl: world.url,
    fetch: reach,
    now: () => world.clock.now(),
    random: world.random,
  })
  const call = {
    grant: { grantId: grant.grantId },
    action: 'tools/call',
    resource: { type: 'tool', id: `${sample.toolServer}/${asked.tool}` },
    properties: asked.properties,
  }
  return {
    async call() {
      const before = tries
      const answer = await agent.fetch(`${sample.invoicesUrl}/tools`, { method: 'POST' }, call)
      const { reason } = (await answer.json()) as Answer['context']
      return { status: answer.status, proofs: tries - before, reason }
    },
  }
}

interface Answer {
  decision: boolean
  context: { dpop_nonce?: string; reason?: string }
}
