import { join } from 'node:path'
import { operatorOf } from '@bailiwick/cli'
import type { InitialEntities } from '@bailiwick/installation'
import { systemClock, systemRandom } from '@bailiwick/kit'
import { type Approver, enrolApprover, preparePlace, type RunningSystem } from '@bailiwick/testkit'
import { Agents, credentialSeconds, type Holder } from './gateway/agents.ts'
import { addedRows, type Calling, saturatedRows } from './gateway/calls.ts'
import { GatewayPlace } from './gateway/place.ts'
import { recordedRows } from './gateway/recorded.ts'
import { agentsThatFit, revocationRows, type Streaming, streamRows, streamsOfAgent } from './gateway/streams.ts'
import type { Bench, Measure, Row } from './measure.ts'
import { persistently } from './patience.ts'
import { Server } from './pdp/server.ts'

const standalone = join(import.meta.dirname, '../../services/standalone/src/main.ts')
/** Agents whose calls are measured, each with a grant, and so with a queue of its own. */
const callers = 8
/** Agents with open streams. */
const wanted = 1000

/** Settings of the services. */
export const settings = {
  BAILIWICK_CREDENTIAL_SECONDS: String(credentialSeconds),
  // The limits for one agent are not measured here.
  BAILIWICK_DECISIONS_PER_MINUTE_AGENT: '10000000',
  BAILIWICK_DECISIONS_PER_MINUTE_GRANT: '10000000',
}

/** What the gateway for MCP adds to a call, what open streams cost, and how soon a revocation ends them. */
export async function measureGateway(bench: Bench): Promise<Measure> {
  const { dir, quick } = bench
  const streaming = quick ? 2 : agentsThatFit(bench.count ?? wanted)
  await using before = await Before.prepare(bench, streaming)
  await using running = await runStandalone(dir, before)
  return {
    id: 'gateway',
    title: 'The MCP gateway',
    how:
      `${howOf('The services are one process, `bailiwick serve standalone`, on the embedded bus.')} ` +
      `Open streams: ${streamsOfAgent} of each agent, each over a connection of its own, from one of 64 addresses, that says something every ten seconds. A stream takes two descriptors of the gateway, so that 1,000 agents need \`ulimit -n\` 20,300; with less there are as many agents as fit. ` +
      'Up to 50 grants are revoked meanwhile, one after the other.',
    rows: await before.rows(running),
  }
}

/** All services in one process, on the embedded bus. */
export async function runStandalone(dir: string, { entities }: Before): Promise<Running & AsyncDisposable> {
  const system = await preparePlace({ data: join(dir, 'system'), entities })
  const env = { BAILIWICK_DATA: system.data, ...settings }
  const services = await Server.start({ main: standalone, env, port: system.port })
  return {
    ...{ name: 'embedded', clock: systemClock, random: systemRandom, pids: [services.pid] },
    ...{ data: system.data, trust: system.trust, approver: await persistently(() => enrolApprover(system)) },
    [Symbol.asyncDispose]: () => services[Symbol.asyncDispose](),
  }
}

export const howOf = (services: string) =>
  'Calls of the tool `read` of a small MCP server, of the revision without sessions, by 8 agents with a grant each: direct, and through `bailiwick serve gateway`. The server and the gateway are processes of their own, and share the cores with all others. ' +
  `${services} Each call through the gateway has a new DPoP proof over its arguments, signed beforehand. Its decision is durable before the server gets the call. Its outcome is reported to the decision point and to evidence, also during the measure. ` +
  'At a steady rate, a call is sent when it is due, whether or not others are answered, and its time counts from then. Direct calls and calls through the gateway take turns of ten seconds, five of each. Added: the difference of the two percentiles of a turn, and the median of the five. ' +
  'Revocations: of a grant, by the operator, while its one stream says something every 5 ms. What clients were answered is compared with what the server got, and with the log.'

/** An installation that runs, with an approver. */
export interface Running extends Pick<RunningSystem, 'data' | 'trust' | 'clock' | 'random'> {
  /** Begins the names of its rows. */
  name: string
  approver: Approver
  /** The processes that decide and record. */
  pids: readonly number[]
}

/** All that there is before the installation: the server, the gateway's place, and agents. */
export class Before implements AsyncDisposable {
  readonly #bench: Bench
  readonly #place: GatewayPlace
  readonly #agents: Agents
  readonly #streaming: number
  readonly #revoked: number

  private constructor(
    bench: Bench,
    place: GatewayPlace,
    { streaming, revoked }: { streaming: number; revoked: number },
  ) {
    this.#bench = bench
    this.#place = place
    this.#streaming = streaming
    this.#revoked = revoked
    this.#agents = new Agents(callers + this.#revoked + streaming, place.url)
  }

  /** `streaming`: agents with open streams. `revoked`: agents whose one stream ends. */
  static async prepare(bench: Bench, streaming: number, revoked = bench.quick ? 2 : 200): Promise<Before> {
    return new Before(bench, await GatewayPlace.prepare(join(bench.dir, 'gateway')), { streaming, revoked })
  }

  /** The initial registry, with all of it added. */
  readonly entities = (sample: InitialEntities): InitialEntities => this.#agents.entities(this.#place.entities(sample))

  async rows(running: Running): Promise<Row[]> {
    const { name, data, pids: services } = running
    const { quick, progress } = this.#bench
    const { calls, ending, streaming } = await this.open(running)
    const { agents, gateway } = calls
    const operator = operatorOf(data)
    const flowing: Streaming = {
      ...{ quick, progress, agents, gateway, services },
      open: async () => (await this.#place.counts()).open,
      revoke: (target) => operator.post('/operator/revocations', { kind: 'grant', target }),
    }
    return [
      ...(await addedRows(name, calls)),
      ...(await saturatedRows(name, calls)),
      ...(await revocationRows(name, flowing, ending)),
      ...(streaming.length === 0 ? [] : await streamRows(flowing, streaming)),
      ...(await recordedRows(this.#place, data, agents.tally)),
    ]
  }

  /** Starts the gateway, and gives each agent its grant. */
  async open({ data, pids: services, approver, ...system }: Running) {
    const { quick, progress } = this.#bench
    const agents = this.#agents
    const gateway = await this.#place.start({ data })
    const all = await agents.granted(system, approver, (made) => progress(`gateway: grant ${made}`))
    const [holders, ending, streaming] = this.#parts(all)
    await agents.begin(holders)
    const calls: Calling = { quick, progress, agents, holders, gateway, mcp: this.#place.mcp, services }
    return { calls, ending, streaming }
  }

  #parts(all: readonly Holder[]): [calling: Holder[], ending: Holder[], streaming: Holder[]] {
    const ending = callers + this.#revoked
    return [all.slice(0, callers), all.slice(callers, ending), all.slice(ending, ending + this.#streaming)]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#place[Symbol.asyncDispose]()
  }
}
