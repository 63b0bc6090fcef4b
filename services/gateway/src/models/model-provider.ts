import { errorCode } from '@bailiwick/errors'
import type { Refusal } from '@bailiwick/pep'
import type { Caller, Refused, RelayRequest } from '@bailiwick/relay'
import { type Admitted, type Called, DecidedEntry, type EntryOptions } from '../decided-entry.ts'
import type { Owner } from '../mcp/claims.ts'
import { needsUsage, outputFor, withLimit } from '../model-requests/clamp.ts'
import { type ModelRequest, modelAction, readModelRequest } from '../model-requests/model-request.ts'
import type { HttpSender } from '../servers/http-sender.ts'
import { hangUp, readOn } from './hang-up.ts'
import type { ModelsEntry } from './models-entry.ts'
import { modelsUpstream } from './models-upstream.ts'
import { microsOf, pricesHash } from './prices.ts'

export interface ModelProviderOptions extends EntryOptions<ModelsEntry> {
  /** The connections to the provider. They end with this. */
  sender: HttpSender
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
export class ModelProvider extends DecidedEntry<ModelsEntry, ModelProviderOptions> {
  /** Grants and models with an answer beyond its reservation: no reservation bounds a further one. */
  readonly #beyond = new Set<string>()

  constructor(options: ModelProviderOptions) {
    super(options, pricesHash(options.entry))
  }

  get api(): ModelsEntry['api'] {
    return this.entry.api
  }

  call(request: RelayRequest, caller: Caller, gone: AbortSignal): Promise<Called> {
    return this.admit(caller, (admitted) => this.#decide(request, caller, gone, admitted))
  }

  async #decide(request: RelayRequest, caller: Caller, gone: AbortSignal, admitted: Admitted): Promise<Called> {
    const owner = admitted.claims?.owner
    const read = readModelRequest(this.entry, request)
    if ('refused' in read) return read
    const run = (asked: RelayRequest, isCounted: boolean) =>
      this.#run(asked, read, { caller, admitted, owner, isCounted }, gone)
    if (read.endpoint.does === 'count' || read.endpoint.does === 'list') return run(request, true)
    let output = outputFor(read, unlimited)
    if (owner !== undefined && this.#beyond.has(beyondKey(owner, read)))
      return this.#uncounted(run(withBody(request, read, output), false))
    for (let choices = 1; ; choices++) {
      // Which permission covers a call, and counts its cost, depends on its limit: so each limit is asked for by itself.
      const asked = withBody(request, read, output)
      const action = modelAction(this.server, this.entry, asked)
      if ('refused' in action) return action
      const left = await this.left(action, caller, request.method)
      // What the decision point denies here, it denies there too, and then there is evidence of it.
      if ('allowed' in left) return isSilence(left) ? left : run(asked, false)
      if (!left.isCounted) return this.#uncounted(run(asked, false))
      const paid = outputFor(read, microsOf(left.amountOf(this.entry.prices.currency)))
      if (paid >= output || choices === mostChoices) return run(asked, true)
      output = paid
    }
  }

  /** The decision is recorded; an ALLOW is not used. */
  #uncounted(running: Promise<Called>): Promise<Called> {
    return running.catch((error: unknown) => {
      if (errorCode(error) === 'call_not_begun') return notCounted
      throw error
    })
  }

  async #run(
    request: RelayRequest,
    read: ModelRequest,
    { caller, admitted, owner, isCounted }: Asking,
    gone: AbortSignal,
  ) {
    const { entry, sender, onUnsettled, onBeyond } = this.options
    const upstream = modelsUpstream({
      ...{ name: this.server, entry, isPriced: isCounted },
      send: (path, sent, signal) => sender.send({ ...sent, below: path }, signal),
      hidesUsage: needsUsage(read.endpoint, read.asked),
      gone,
      onUnsettled: () => onUnsettled(read.asked.model),
      onBeyond: () => {
        if (owner !== undefined) this.#remember(beyondKey(owner, read))
        onBeyond(read.asked.model)
      },
    })
    const { does } = read.endpoint
    const isFree = does === 'count' || does === 'list'
    using waiting = new DisposableStack()
    const client = waiting.use(hangUp(gone, isFree ? 0 : entry.read_on_seconds * 1000))
    const relayed = await admitted.relayTo(upstream, { answerSeconds }).run(request, caller, client.late)
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

  protected end(): Promise<void> {
    return this.options.sender[Symbol.asyncDispose]()
  }
}

interface Asking {
  caller: Caller
  admitted: Admitted
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
