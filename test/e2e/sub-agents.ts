import { type Agent, createAgent } from '@bailiwick/agent'
import { generateKey, type SigningKey } from '@bailiwick/credentials'
import { sample, sampleAgentId, sampleAuthority, sampleKey } from '@bailiwick/standalone/sample'
import type { CallAsk } from './agent-side.ts'
import type { World, WorldOptions } from './world.ts'

/** The authority that the sample agent may use and delegate. */
export const passedOn = { ...sampleAuthority, max_depth: 3, max_children: 8 }

export interface SubAgent {
  /** `<agent id>/<instance>` */
  id: string
  key: SigningKey<'agent'>
}

/** Sub-agents of the sample world, each an agent of its own with one registered key; and a second instance of its first agent. */
export class SubAgents {
  readonly all: SubAgent[]
  readonly second: SubAgent = { id: `${sampleAgentId('reconciler')}/i2`, key: generateKey('agent') }

  constructor(count = 6) {
    this.all = Array.from({ length: count }, (_, n) => ({
      id: `${sampleAgentId(`helper-${n}`)}/${sample.instance}`,
      key: generateKey('agent'),
    }))
  }

  /** Registers them all. */
  entities: NonNullable<WorldOptions['entities']> = (entities) => [
    ...entities.map((entity) => {
      if (entity.type !== 'agent' || entity.value.id !== sampleAgentId('reconciler')) return entity
      const { attestor } = entity.value
      if (attestor.kind !== 'registered_key') return entity
      const keys = [...attestor.keys, { instance: 'i2', jwk: { ...this.second.key.publicJwk } }]
      return { ...entity, value: { ...entity.value, attestor: { ...attestor, keys } } }
    }),
    ...this.all.map(({ id, key }) => ({
      type: 'agent' as const,
      value: {
        id: agentOf(id),
        name: agentOf(id).split('/').at(-1) ?? '',
        owner: sample.owner,
        attestor: {
          kind: 'registered_key' as const,
          keys: [{ instance: sample.instance, jwk: { ...key.publicJwk } }],
        },
        labels: ['sample'],
        proactive_requests: false,
      },
    })),
  ]

  at(n: number): SubAgent {
    const found = this.all[n]
    if (!found) throw new Error(`there is no sub-agent ${n}`)
    return found
  }
}

const agentOf = (instance: string) => instance.slice(0, instance.lastIndexOf('/'))

/** The SDK of this agent, in front of a world that listens on no port. */
export function sdkOf(world: World, { id, key }: SubAgent): Agent {
  return createAgent({
    agentId: agentOf(id),
    instance: id.slice(agentOf(id).length + 1),
    key,
    installation: world.trust.installation,
    baseUrl: world.url,
    now: () => world.clock.now(),
    random: world.random,
    fetch: async (url, init) => {
      const { pathname } = new URL(String(url))
      const headers = new Headers(init?.headers)
      const payload = init?.body instanceof URLSearchParams ? init.body.toString() : init?.body
      if (init?.body instanceof URLSearchParams) headers.set('content-type', 'application/x-www-form-urlencoded')
      const answer = await world.http.inject({
        method: (init?.method ?? 'GET') as 'GET',
        url: pathname,
        headers: Object.fromEntries(headers),
        ...(typeof payload === 'string' ? { payload } : {}),
      })
      const told = Object.entries(answer.headers).map(([name, value]): [string, string] => [name, String(value)])
      return new Response(answer.body, { status: answer.statusCode, headers: told })
    },
  })
}

export const reconcilerOf = (world: World): SubAgent => ({
  id: `${sampleAgentId('reconciler')}/${sample.instance}`,
  key: sampleKey(world.data, 'reconciler'),
})

/** A call by a sub-agent: the proof is its own, and the subject is the agent that has the grant. */
export const by = ({ key }: SubAgent, credential: string, ask: CallAsk): CallAsk => ({
  ...ask,
  credential,
  proofKey: key,
})
