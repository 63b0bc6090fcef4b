import { errorCode, ServiceError } from '@bailiwick/errors'
import type { EnforcementPoint, Refusal } from '@bailiwick/pep'
import { type Caller, openRelay, type Refused, type Relayed, type RelayRequest } from '@bailiwick/relay'
import { Calls } from '../calls.ts'
import { audienceFault, type Owner, readClaims } from '../mcp/claims.ts'
import type { Shares } from '../mcp/shares.ts'
import { needsUsage, outputFor, withLimit } from '../model-requests/clamp.ts'
import { costPointers, type ModelRequest, modelAction, readModelRequest } from '../model-requests/model-request.ts'
import type { Behind } from '../served.ts'
import type { HttpSender } from '../servers/http-sender.ts'
import { hangUp, readOn } from './hang-up.ts'
import type { ModelsEntry } from './models-entry.ts'
import { modelsUpstream } from './models-upstream.ts'
import { microsOf, pricesHash } from './prices.ts'

export interface ModelProviderOptions {
  name: string
  entry: ModelsEntry
  point: Pick<EnforcementPoint, 'guard' | 'budget'>
  /** The connections to the provider. They end with this. */
  sender: HttpSender
  /** The provider's address as agents know it, without a slash at its end: the audience of credentials for it alone. */
  address: string
  /** Further audiences that mean every provider: the gateway's address, and the installation's. */
  audiences: readonly string[]
  shares: Pick<Shares, 'checkStreams' | 'inShare'>
  /** Told when a provider states no usage that can be true, so that the whole reservation is spent. */
  onUnsettled: (model: string) => void
  /** Told when an answer is beyond what was reserved for it. */
  onBeyond: (model: string) => void
}

/** How long an answer may take and flow. If its outcome is lost, its reservation is held as long. */
const answerSeconds = 900
/** How often a limit is chosen again when what is left became less meanwhile. */
const mostChoices = 4
/** The most pairs of a grant and a model that are remembered. */
const mostBeyond = 10_000
/** A limit that no budget lowers. */
const unlimited = 10n ** 30n

/** One provider of models: it has each call priced, clamped to what is left, decided, sent once, and settled. */
export class ModelProvider implements Behind {
  readonly #options: ModelProviderOptions
  /** What people signed of it. */
  readonly manifest: string
  /** Grants and models with an answer beyond its reservation: no reservation bounds a further one. */
  readonly #beyond = new Set<string>()
  readonly #calls = new Calls()

  constructor(options: ModelProviderOptions) {
    this.#options = options
    this.manifest = pricesHash(options.entry)
  }

  get api(): ModelsEntry['api'] {
    return this.#options.entry.api
  }

  /** Rejects with a ServiceError for what happened after the permit. */
  call(request: RelayRequest, caller: Caller, gone: AbortSignal): Promise<Relayed | Refusal | Refused> {
    return this.#calls.run(() => this.#call(request, caller, gone))
  }

  async #call(request: RelayRequest, caller: Caller, gone: AbortSignal): Promise<Relayed | Refusal | Refused> {
    const { entry, address, audiences, shares } = this.#options
    const reason = audienceFault(caller.credential, [address, ...audiences])
    if (reason !== undefined) return { allowed: false, reason }
    const owner = readClaims(caller.credential)?.owner
    if (owner !== undefined) shares.checkStreams(owner.agent)
    const read = readModelRequest(entry, request)
    if ('refused' in read) return read
    const run = (asked: RelayRequest, isCounted: boolean) => this.#run(asked, read, { caller, owner, isCounted }, gone)
    if (read.endpoint.does === 'count' || read.endpoint.does === 'list') return run(request, true)
    let output = outputFor(read, unlimited)
    if (owner !== undefined && this.#beyond.has(beyondKey(owner, read)))
      return this.#uncounted(run(withBody(request, read, output), false))
    for (let choices = 1; ; choices++) {
      // Which permission covers a call, and counts its cost, depends on its limit: so each limit is asked for by itself.
      const asked = withBody(request, read, output)
      const left = await this.#left(asked, caller)
      if ('refused' in left) return left
      // What the decision point denies here, it denies there too, and then there is evidence of it.
      if ('allowed' in left) return isSilence(left) ? left : run(asked, false)
      if (!left.isCounted) return this.#uncounted(run(asked, false))
      const paid = outputFor(read, left.micros)
      if (paid >= output || choices === mostChoices) return run(asked, true)
      output = paid
    }
  }

  /** The decision is recorded; an ALLOW is not used. */
  #uncounted(running: Promise<Relayed | Refusal | Refused>): Promise<Relayed | Refusal | Refused> {
    return running.catch((error: unknown) => {
      if (errorCode(error) === 'call_not_begun') return notCounted
      throw error
    })
  }

  /** What the caller's budget has left for this call. It may be less a moment later: the decision reserves, and this only chooses how much. */
  async #left(
    request: RelayRequest,
    caller: Caller,
  ): Promise<{ micros: bigint; isCounted: boolean } | Refusal | Refused> {
    const { name, entry, point } = this.#options
    const action = modelAction(this.#server, entry, request)
    if ('refused' in action) return action
    const { credential, proof, htu } = caller
    const asked = { credential, proof, htu, htm: request.method, manifest: this.manifest }
    const { name: does, properties, resource } = action
    if (typeof properties !== 'object') throw new ServiceError('invariant_broken', name)
    const left = await point.budget({ ...asked, action: { name: does, properties: { ...properties }, resource } })
    if ('allowed' in left) return left
    const isPriced = ({ amount, currency }: { amount: string; currency: string }) =>
      amount === costPointers.amount && currency === costPointers.currency
    const isCounted = left.priced.every((each) => each !== null && isPriced(each))
    const { currency } = entry.prices
    return { isCounted, micros: microsOf(Object.hasOwn(left.cost, currency) ? (left.cost[currency] ?? '0') : '0') }
  }

  get #server(): string {
    const { name, entry } = this.#options
    return entry.server ?? name
  }

  async #run(request: RelayRequest, read: ModelRequest, { caller, owner, isCounted }: Asking, gone: AbortSignal) {
    const { entry, point, sender, shares, onUnsettled, onBeyond } = this.#options
    const upstream = modelsUpstream({
      ...{ name: this.#server, entry, isPriced: isCounted },
      send: (path, sent, signal) => sender.send({ ...sent, below: path }, signal),
      hidesUsage: needsUsage(read.endpoint, read.asked),
      gone,
      onUnsettled: () => onUnsettled(read.asked.model),
      onBeyond: () => {
        if (owner !== undefined) this.#remember(beyondKey(owner, read))
        onBeyond(read.asked.model)
      },
    })
    const counted = owner === undefined ? upstream : shares.inShare(upstream, owner.agent)
    const relay = openRelay({
      ...{ point: point as EnforcementPoint, upstream: counted, manifest: this.manifest, answerSeconds },
    })
    const { does } = read.endpoint
    const isFree = does === 'count' || does === 'list'
    using waiting = new DisposableStack()
    const client = waiting.use(hangUp(gone, isFree ? 0 : entry.read_on_seconds * 1000))
    const relayed = await relay.run(request, caller, client.late)
    if (!('over' in relayed)) return relayed
    const waits = waiting.move()
    void relayed.over.finally(() => waits.dispose())
    const { executed } = relayed
    return { ...relayed, executed: { ...executed, body: readOn(executed.body) } }
  }

  #remember(key: string): void {
    const [oldest] = this.#beyond
    if (oldest !== undefined && this.#beyond.size >= mostBeyond) this.#beyond.delete(oldest)
    this.#beyond.add(key)
  }

  retire(): Promise<void> {
    return this.#calls.retire()
  }

  [Symbol.asyncDispose](): Promise<void> {
    void this.#calls.retire()
    return this.#options.sender[Symbol.asyncDispose]()
  }
}

interface Asking {
  caller: Caller
  /** Whose credential it claims to be. What is executed was decided for them. */
  owner: Owner | undefined
  /** Whether the permissions that cover the call count its cost. */
  isCounted: boolean
}

const beyondKey = ({ grant }: Owner, { asked }: ModelRequest): string => JSON.stringify([grant, asked.model])
const notCounted: Refused = { refused: 'model_cost_not_counted', detail: 'the cost of this call' }

function withBody(request: RelayRequest, read: ModelRequest, output: number): RelayRequest {
  return { ...request, body: withLimit(request.body, read, output) }
}

/** The decision point did not answer: there is nothing to ask it again. */
const isSilence = ({ reason }: Refusal) => reason === 'pdp_unavailable' || reason === 'queue_full'
