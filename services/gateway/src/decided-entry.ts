import type { Action } from '@bailiwick/credentials'
import type { EnforcementPoint, Refusal } from '@bailiwick/pep'
import {
  type Caller,
  openRelay,
  type Refused,
  type Relay,
  type Relayed,
  type RelayOptions,
  type RelayRequest,
  type SecretPort,
  type Upstream,
} from '@bailiwick/relay'
import { Calls } from './calls.ts'
import { audienceFault, type Claims, readClaims } from './mcp/claims.ts'
import type { Shares } from './mcp/shares.ts'
import type { Behind } from './served.ts'
import { costPointers } from './stated-cost.ts'

export interface EntryOptions<Entry> {
  name: string
  entry: Entry
  point: EnforcementPoint
  secrets: SecretPort
  /** Counts what each agent has at all entries together. */
  shares: Shares
  /** Its address as agents know it, without a slash at its end: the audience of credentials for it alone. */
  address: string
  /** Further audiences that mean every entry: the gateway's address, and the installation's. */
  audiences: readonly string[]
}

/** A caller whose credential is meant for this entry. No decision point has verified the claims yet. */
export interface Admitted {
  readonly claims: Claims | undefined
  /** A relay to an upstream, whose answers count in the shares of the caller's agent. */
  relayTo(upstream: Upstream, limits?: Pick<RelayOptions, 'answerSeconds' | 'mostAnswerBytes'>): Relay
}

/** What became of a request. */
export type Called = Relayed | Refusal | Refused

/** Serves one entry of the file, and has each request decided. */
export abstract class DecidedEntry<
  Entry extends { server?: string | undefined },
  Options extends EntryOptions<Entry> = EntryOptions<Entry>,
> implements Behind
{
  protected readonly options: Options
  /** The hash of what people sign of the entry. */
  protected readonly manifest: string | undefined
  readonly #ofEach: readonly Shares[]
  readonly #calls = new Calls()

  /** `shares`: what each agent has of this entry alone. */
  constructor(options: Options, manifest: string | undefined, shares: readonly Shares[] = []) {
    this.options = options
    this.manifest = manifest
    this.#ofEach = [options.shares, ...shares]
  }

  get entry(): Entry {
    return this.options.entry
  }

  get address(): string {
    return this.options.address
  }

  /** The tool server that it is in the registry; undefined if it is none. */
  get toolServer(): string | undefined {
    return this.server
  }

  protected get server(): string {
    return this.entry.server ?? this.options.name
  }

  /** Decides a request, whose target begins below the entry's address, and sends it on. As `Relay.run`. */
  abstract call(request: RelayRequest, caller: Caller, gone: AbortSignal): Promise<Called>

  /** Why this credential cannot serve here; undefined if it can. */
  audienceFault(credential: string | undefined): Refusal | undefined {
    const reason = audienceFault(credential, [this.address, ...this.options.audiences])
    return reason === undefined ? undefined : { allowed: false, reason }
  }

  /** Refuses a credential for something else, and an agent with too many answers under way. */
  protected admit(caller: Caller, decide: (admitted: Admitted) => Promise<Called>): Promise<Called> {
    return this.#calls.run(async () => {
      const fault = this.audienceFault(caller.credential)
      if (fault !== undefined) return fault
      const claims = readClaims(caller.credential)
      const shares = claims === undefined ? [] : this.#ofEach.map((each) => ({ each, agent: claims.owner.agent }))
      for (const { each, agent } of shares) each.checkStreams(agent)
      const { point } = this.options
      const relayTo: Admitted['relayTo'] = (upstream, limits = {}) =>
        openRelay({
          ...{ ...limits, point, manifest: this.manifest },
          upstream: shares.reduceRight((counted, { each, agent }) => each.inShare(counted, agent), upstream),
        })
      return decide({ claims, relayTo })
    })
  }

  /**
   * What the caller's budget has left for an action that states its cost. It may be less a moment later: the decision reserves, and this only
   * chooses how much. `isCounted`: every permission that covers the action counts the cost. Nothing is reserved, and nothing is in evidence.
   */
  protected async left(
    { name, properties, resource }: Action,
    { credential, proof, htu }: Caller,
    htm: string,
  ): Promise<{ amountOf: (currency: string) => string; isCounted: boolean } | Refusal> {
    const { point } = this.options
    const asked = { credential, proof, htu, htm, manifest: this.manifest }
    const left = await point.budget({ ...asked, action: { name, properties: { ...properties }, resource } })
    if ('allowed' in left) return left
    const isCounted = left.priced.every(
      (each) => each?.amount === costPointers.amount && each.currency === costPointers.currency,
    )
    return {
      isCounted,
      amountOf: (currency) => (Object.hasOwn(left.cost, currency) ? (left.cost[currency] ?? '0') : '0'),
    }
  }

  retire(): Promise<void> {
    return this.#calls.retire()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // A request that is still being read must not reach what is no longer in the file.
    await this.end(this.#calls.retire())
  }

  /** Ends what the entry holds. `idle` resolves when no answer flows any more. */
  protected abstract end(idle: Promise<void>): Promise<void>
}
