import { join } from 'node:path'
import { systemClock, systemRandom } from '@bailiwick/kit'
import { enrolApprover, preparePlace } from '@bailiwick/testkit'
import { Agents, type Holder, type Kind, late } from './gateway/agents.ts'
import { settings } from './gateway.ts'
import type { Bench, Measure, Row } from './measure.ts'
import { persistently } from './patience.ts'
import { postOf } from './pdp/load.ts'
import { Server } from './pdp/server.ts'
import { liteLlm, liteLlmKey, passThrough } from './upstreams/others.ts'
import { overspendRow, small } from './upstreams/overspend.ts'
import { costPointers, UpstreamPlace } from './upstreams/place.ts'
import { addedRows, saturatedRows, type Way } from './upstreams/ways.ts'

const standalone = join(import.meta.dirname, '../../services/standalone/src/main.ts')
/** Agents whose calls are measured, each with a grant, and so with a queue of its own. */
const callers = 8

/** What the gateway adds to a call of an HTTP API. */
export async function measureGatewayHttp(bench: Bench): Promise<Measure> {
  await using place = await UpstreamPlace.prepare(join(bench.dir, 'gateway'))
  const kind: Kind = {
    permissions: [{ actions: ['GET'], resource: { type: 'api', id: `${place.upstreamUrl}/v1/items/1` } }],
    call: { method: 'GET', headers: {}, body: '' },
    directPath: '/v1/items/1',
    outcomeOf,
  }
  await using world = await World.open(bench, place, kind, place.itemsUrl)
  const rows = await world.rows([])
  const { items } = await place.reached()
  if (items !== world.answered) throw new Error(`the API got ${items} calls, and ${world.answered} were answered`)
  return {
    id: 'gateway-http',
    title: 'The gateway in front of an HTTP API',
    how: `${howOf('GET of one resource of an API, of 70 bytes', world.relay.described)} Every call that was answered reached the API once.`,
    rows,
  }
}

/** What the gateway adds to a call of a model, with LiteLLM's proxy beside it if there is one. */
export async function measureGatewayModels(bench: Bench): Promise<Measure> {
  await using place = await UpstreamPlace.prepare(join(bench.dir, 'gateway'))
  const ask = { model: 'small', max_completion_tokens: 16, messages: [{ role: 'user', content: 'How much is it?' }] }
  const call = { method: 'POST' as const, headers: { 'content-type': 'application/json' }, body: JSON.stringify(ask) }
  const permission = { actions: ['model/invoke'], resource: { type: 'model', id: 'bench/small' }, cost: costPointers }
  const directPath = '/v1/chat/completions'
  const common = { permissions: [permission], call, directPath, outcomeOf }
  await using world = await World.open(bench, place, { ...common, cost: { USD: '100000' } }, place.completionsUrl, {
    ...{ ...common, cost: { USD: small.dollars } },
  })
  const { litellm } = bench
  const requests = Array.from({ length: small.calls }, () =>
    postOf(directPath, call.body, { authorization: `Bearer ${liteLlmKey}` }),
  )
  const beside = async (name: string, dollars: number) =>
    litellm === undefined
      ? undefined
      : liteLlm(join(bench.dir, name), { program: litellm, upstreamUrl: place.upstreamUrl, dollars })
  const rows: Row[] = []
  let described = 'LiteLLM’s proxy was not there to be compared (`--litellm PROGRAM`).'
  {
    await using other = await beside('litellm', 1_000_000)
    if (other !== undefined) described = `Compared with ${other.described}, which calls the same provider.`
    const ways = other === undefined ? [] : [wayOf('LiteLLM', other, requests, () => world.answered++)]
    rows.push(...(await world.rows(ways)))
  }
  rows.push(await overspendRow('the gateway', world.url, await world.poorRequests(small.calls)))
  {
    await using poor = await beside('litellm-poor', Number(small.dollars))
    if (poor !== undefined) rows.push(await overspendRow('LiteLLM', poor.url, requests))
  }
  return {
    id: 'gateway-models',
    title: 'The gateway in front of models',
    how: `${howOf('A call of chat completions, which is not a stream, and whose answer has 290 bytes', world.relay.described)} ${described} The gateway asks what is left, decides, reserves, and settles each call; its decision is durable before the provider gets the call.`,
    rows,
  }
}

const howOf = (call: string, relay: string) =>
  `${call}, by ${callers} agents with a grant each: direct; through ${relay}; and through \`bailiwick serve gateway\`. The upstream, the gateway and the services (one process, \`bailiwick serve standalone\`, on the embedded bus) share the cores with all others. ` +
  'Each call through the gateway has a new DPoP proof, signed beforehand. At a steady rate, a call is sent when it is due, whether or not others are answered, and its time counts from then. The ways take turns of ten seconds, five of each. Added: the difference of the two percentiles of a turn, and the median of the five.'

/** An installation, its gateway in front of the upstream, a relay beside it, and agents. */
class World implements AsyncDisposable {
  answered = 0
  readonly url: string
  readonly relay: Awaited<ReturnType<typeof passThrough>>
  readonly #bench: Bench
  readonly #ways: readonly Way[]
  readonly #poor: { agents: Agents; holders: Holder[] } | undefined
  readonly #owned: AsyncDisposable

  private constructor(made: Pick<World, 'url' | 'relay'>, bench: Bench, owned: AsyncDisposable, parts: Parts) {
    this.url = made.url
    this.relay = made.relay
    this.#bench = bench
    this.#owned = owned
    this.#poor = parts.poor
    const { agents, holders, place, gateway, services } = parts
    const plain = [agents.direct()]
    const answered = () => void this.answered++
    this.#ways = [
      { ...wayOf('direct', place.upstream, plain, answered), pids: [] },
      wayOf(made.relay.name, made.relay, plain, answered),
      {
        ...wayOf('the gateway', gateway, [], answered),
        services: [services.pid],
        async requests(count) {
          await agents.renew(holders)
          return agents.calls(holders, count)
        },
      },
    ]
  }

  /** `poor`: what one more agent asks for. */
  static async open(bench: Bench, place: UpstreamPlace, kind: Kind, url: string, poor?: Kind): Promise<World> {
    await using opening = new AsyncDisposableStack()
    const agents = new Agents(callers, url, kind)
    const poorAgents = poor && new Agents(1, url, poor, 'poor')
    const system = await preparePlace({
      data: join(bench.dir, 'system'),
      entities: (sample) => {
        const all = agents.entities(place.entities(sample))
        return poorAgents === undefined ? all : poorAgents.entities(all)
      },
    })
    const env = { BAILIWICK_DATA: system.data, ...settings }
    const services = opening.use(await Server.start({ main: standalone, env, port: system.port }))
    const approver = await persistently(() => enrolApprover(system))
    const host = { trust: system.trust, clock: systemClock, random: systemRandom }
    const gateway = await place.start({ data: system.data })
    const holders = await agents.granted(host, approver, () => undefined)
    const poorHolders = await poorAgents?.granted(host, approver, () => undefined)
    await agents.begin(holders)
    await poorAgents?.renew(poorHolders ?? [])
    poorAgents?.learnFrom(agents)
    const relay = opening.use(await passThrough(join(bench.dir, 'relay'), place.upstreamUrl))
    const owned = opening.move()
    const made = { url: gateway.url, relay }
    const world = new World(made, bench, owned, {
      ...{ agents, holders, place, gateway, services },
      poor: poorAgents && { agents: poorAgents, holders: poorHolders ?? [] },
    })
    world.answered += callers
    return world
  }

  async rows(more: readonly Way[]): Promise<Row[]> {
    const ways = [...this.#ways, ...more]
    return [...(await addedRows(ways, this.#bench)), ...(await saturatedRows(ways, this.#bench))]
  }

  async poorRequests(count: number): Promise<readonly Buffer[]> {
    const { agents, holders } = this.#poor ?? {}
    return agents?.calls(holders ?? [], count) ?? []
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#owned[Symbol.asyncDispose]()
  }
}

interface Parts {
  agents: Agents
  holders: Holder[]
  place: UpstreamPlace
  gateway: Server
  services: Server
  poor: { agents: Agents; holders: Holder[] } | undefined
}

const wayOf = (
  name: string,
  { url, pid }: { url: string; pid: number },
  requests: readonly Buffer[],
  answered: () => void,
): Way => ({ name, url, pids: [pid], requests: async () => requests, outcomeOf, answered })

function outcomeOf(status: number, body: string): 'answered' | 'late' {
  if (status === 200) return 'answered'
  if (late.has((JSON.parse(body) as { code?: string }).code)) return 'late'
  throw new Error(`no answer but ${status} ${body}`)
}
