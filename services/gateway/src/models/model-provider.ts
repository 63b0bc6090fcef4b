import { ServiceError } from '@bailiwick/errors'
import type { EnforcementPoint, Refusal } from '@bailiwick/pep'
import { type Caller, openRelay, type Refused, type Relayed, type RelayRequest } from '@bailiwick/relay'
import { needsUsage, outputFor, withLimit } from '../model-requests/clamp.ts'
import { costPointers, type ModelRequest, modelAction, readModelRequest } from '../model-requests/model-request.ts'
import type { HttpSender } from '../servers/http-sender.ts'
import type { ModelsEntry } from './models-entry.ts'
import { modelsUpstream } from './models-upstream.ts'
import { microsOf, pricesHash } from './prices.ts'

export interface ModelProviderOptions {
  name: string
  entry: ModelsEntry
  point: Pick<EnforcementPoint, 'guard' | 'budget'>
  /** Opens the connections to one endpoint. */
  openSender: (url: string) => HttpSender
  /** Told when a provider states no usage that can be true, so that the whole reservation is spent. */
  onUnsettled: (model: string) => void
}

/** How long an answer may take and flow. If its outcome is lost, its reservation is held as long. */
const answerSeconds = 900
/** A limit that no budget lowers. */
const unlimited = 10n ** 30n

/** One provider of models: it has each call priced, clamped to what is left, decided, sent once, and settled. */
export class ModelProvider implements AsyncDisposable {
  readonly #options: ModelProviderOptions
  /** What people signed of it. */
  readonly manifest: string
  readonly #senders = new Map<string, HttpSender>()
  /** Calls whose answers still flow. */
  #calls = 0
  #isLeaving = false

  constructor(options: ModelProviderOptions) {
    this.#options = options
    this.manifest = pricesHash(options.entry)
  }

  get api(): ModelsEntry['api'] {
    return this.#options.entry.api
  }

  /** Rejects with a ServiceError for what happened after the permit. */
  async call(request: RelayRequest, caller: Caller, gone: AbortSignal): Promise<Relayed | Refusal | Refused> {
    this.#calls++
    let over: Promise<unknown> = Promise.resolve()
    try {
      const relayed = await this.#call(request, caller, gone)
      if ('over' in relayed) over = relayed.over
      return relayed
    } finally {
      void over.then(() => this.#ended())
    }
  }

  async #call(request: RelayRequest, caller: Caller, gone: AbortSignal): Promise<Relayed | Refusal | Refused> {
    const read = readModelRequest(this.#options.entry, request)
    if ('refused' in read) return read
    if (read.endpoint.does !== 'invoke') return this.#run(request, read, caller, true, gone)
    const wanted = withBody(request, read, outputFor(read, unlimited))
    const left = await this.#left(wanted, caller)
    if ('refused' in left) return left
    // What the decision point denies here, it denies there too, and then there is evidence of it.
    if ('allowed' in left) return isSilence(left) ? left : this.#run(wanted, read, caller, false, gone)
    return this.#run(withBody(request, read, outputFor(read, left.micros)), read, caller, true, gone)
  }

  /** What the caller's budget has left for this call. It may be less a moment later: the decision reserves, and this only chooses how much. */
  async #left(request: RelayRequest, caller: Caller): Promise<{ micros: bigint } | Refusal | Refused> {
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
    if (!left.priced.every((each) => each !== null && isPriced(each)))
      return { refused: 'model_cost_not_counted', detail: 'a permission without this cost' }
    const { currency } = entry.prices
    return { micros: microsOf(Object.hasOwn(left.cost, currency) ? (left.cost[currency] ?? '0') : '0') }
  }

  get #server(): string {
    const { name, entry } = this.#options
    return entry.server ?? name
  }

  #run(request: RelayRequest, read: ModelRequest, caller: Caller, isPriced: boolean, gone: AbortSignal) {
    const { entry, point, onUnsettled } = this.#options
    const upstream = modelsUpstream({
      ...{ name: this.#server, entry, isPriced },
      send: (path, ...sent) => this.#sender(path).send(...sent),
      hidesUsage: needsUsage(read.endpoint, read.asked),
      onUnsettled: () => onUnsettled(read.asked.model),
    })
    const relay = openRelay({ point: point as EnforcementPoint, upstream, manifest: this.manifest, answerSeconds })
    return relay.run(request, caller, gone)
  }

  #sender(path: string): HttpSender {
    const { entry, openSender } = this.#options
    const sender = this.#senders.get(path) ?? openSender(`${entry.url.replace(/\/$/, '')}${path}`)
    this.#senders.set(path, sender)
    return sender
  }

  /** Ends it after the answers that flow. It gets no new call. */
  retire(): void {
    this.#isLeaving = true
    if (this.#calls === 0) void this[Symbol.asyncDispose]()
  }

  #ended(): void {
    this.#calls--
    if (this.#isLeaving && this.#calls === 0) void this[Symbol.asyncDispose]()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#senders.values()].map((sender) => sender[Symbol.asyncDispose]()))
  }
}

function withBody(request: RelayRequest, read: ModelRequest, output: number): RelayRequest {
  return { ...request, body: withLimit(request.body, read, output) }
}

/** The decision point did not answer: there is nothing to ask it again. */
const isSilence = ({ reason }: Refusal) => reason === 'pdp_unavailable' || reason === 'queue_full'
