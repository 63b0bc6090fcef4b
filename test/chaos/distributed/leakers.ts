import { type Agent, createAgent } from '@bailiwick/agent'
import { generateKey, jcsHash, type SigningKey } from '@bailiwick/credentials'
import type { InitialEntities } from '@bailiwick/installation'
import { sample, sampleAgentId, sampleAuthority } from '@bailiwick/standalone/sample'
import type { ServiceProcess } from '@bailiwick/testkit'
import { Point } from '../../e2e/agent-side.ts'
import { eventually } from '../../e2e/world.ts'
import { overTheWire } from '../over-the-wire.ts'
import type { Play } from './play.ts'

const tools = {
  read: { labels: ['reads_private'] },
  fetch: { labels: ['reads_untrusted'] },
  send: { labels: ['external_send'] },
}
type Step = keyof typeof tools
const server = 'leaks'
const resources = Object.keys(tools).map((name) => ({ type: 'tool', id: `${server}/${name}` }))
const authority = {
  ...sampleAuthority,
  permissions: resources.map((resource) => ({ actions: ['tools/call'], resource })),
}

/** All six orders of the three steps of a leak. */
const orders = (['read', 'fetch', 'send'] as const).flatMap((first, _, all) =>
  all
    .filter((each) => each !== first)
    .map((second): Step[] => [first, second, ...all.filter((each) => each !== first && each !== second)]),
)

/** Agents that have done nothing yet, and tools by which they could leak, beside the sample's. */
export class Leakers {
  readonly #unused: { name: string; key: SigningKey<'agent'> }[]

  /** For so many times `next`. */
  constructor(times: number) {
    this.#unused = Array.from({ length: times * orders.length }, (_, n) => ({
      name: `leaker-${n}`,
      key: generateKey('agent'),
    }))
  }

  entities = (entities: InitialEntities): InitialEntities => [
    ...entities.map((entity) => {
      if (entity.type !== 'enforcement-point') return entity
      const { value } = entity
      // Where `Point` says that it stands, besides.
      const base_urls = [...value.base_urls, sample.invoicesUrl]
      return { ...entity, value: { ...value, base_urls, resources: [...value.resources, ...resources] } }
    }),
    { type: 'tool-server', value: { id: server, url: 'http://localhost/', manifest: jcsHash(tools), tools } },
    ...this.#unused.map(({ name, key }) => ({
      type: 'agent' as const,
      value: {
        id: sampleAgentId(name),
        name,
        // Of one owner, they would taint one another.
        owner: `owner-of-${name}`,
        attestor: {
          kind: 'registered_key' as const,
          keys: [{ instance: sample.instance, jwk: { ...key.publicJwk } }],
        },
        labels: [],
        proactive_requests: true,
      },
    })),
  ]

  /** One for each of the six orders, with two tasks and without a past. */
  async next(play: Play): Promise<Leaker[]> {
    const { trust, clock, random } = play.system
    const leakers: Leaker[] = []
    for (const order of orders) {
      const unused = this.#unused.pop()
      if (!unused) throw new Error('every leaker has a past')
      const agent = createAgent({
        ...{ agentId: sampleAgentId(unused.name), instance: sample.instance, key: unused.key },
        ...{ installation: trust.installation, baseUrl: trust.public_url, now: () => clock.now(), random },
      })
      const tasks = [await play.granted(agent, authority), await play.granted(agent, authority)]
      leakers.push(new Leaker({ play, agent, key: unused.key, tasks, order }))
    }
    return leakers
  }
}

/** What each of them was answered; who was answered the same is not told apart. */
export async function answers(leakers: readonly Leaker[], act: (leaker: Leaker) => Promise<Said[]>): Promise<Said[]> {
  return [...new Set((await Promise.all(leakers.map(act))).flat())]
}

type Said = 'allowed' | 'policy_denied'
interface LeakerOptions {
  play: Play
  agent: Agent
  key: SigningKey<'agent'>
  tasks: readonly string[]
  order: readonly Step[]
}

export class Leaker {
  readonly #options: LeakerOptions
  /** Up to the one that taints it for good. */
  readonly #steps: readonly Step[]

  constructor(options: LeakerOptions) {
    const { order } = options
    this.#options = options
    this.#steps = order.at(-1) === 'send' ? order.slice(0, -1) : order
  }

  /** All steps but the one that taints it for good, each in another task. */
  async begin(at: ServiceProcess): Promise<Said[]> {
    const said: Said[] = []
    for (const [n, tool] of this.#steps.slice(0, -1).entries()) said.push(await this.#step(tool, n, at))
    return said
  }

  async taint(at: ServiceProcess): Promise<Said[]> {
    const last = this.#steps.length - 1
    return [await this.#step(this.#steps[last] ?? 'send', last, at)]
  }

  /** In each of its tasks. */
  send = (at: ServiceProcess): Promise<Said[]> =>
    Promise.all(this.#options.tasks.map((_, task) => this.#step('send', task, at)))

  /** Asks that very decision point, over and over while all that it hears is that the machine is busy. */
  async #step(tool: Step, task: number, { url }: ServiceProcess): Promise<Said> {
    const { play, agent, key, tasks } = this.#options
    const point = new Point({ ...play.system, http: overTheWire(url) })
    const grantId = tasks[task % tasks.length] ?? ''
    const resource = { type: 'tool', id: `${server}/${tool}` }
    let heard: unknown
    const said = eventually(async (): Promise<Said | undefined> => {
      try {
        const { token: credential } = await agent.credential({ grantId })
        const answer = await point.call({ credential, proofKey: key, subject: agent.id, resource })
        heard = answer.reason
        if (answer.decision) return 'allowed'
        return answer.reason === 'policy_denied' ? answer.reason : undefined
      } catch (error) {
        heard = error
        return undefined
      }
    })
    return said.catch((cause) => Promise.reject(new Error(`${tool}: ${heard}`, { cause })))
  }
}
