import type { Clock, RandomSource } from '@bailiwick/kit'
import type { Mapped } from '@bailiwick/mcp'
import type { EnforcementPoint, Refusal, Round } from '@bailiwick/pep'
import type { Caller, Refused, Relayed, RelayRequest } from '@bailiwick/relay'
import type { ServerEntry } from '../gateway-file.ts'
import type { Reading } from '../manifest/observe.ts'
import type { Pin } from '../manifest/pins.ts'
import type { ServerAccess } from '../servers/upstreams.ts'
import type { Held } from './conversations.ts'
import type { McpUpstream } from './mcp-upstream.ts'
import type { Searches } from './searches.ts'
import type { Shares } from './shares.ts'

export interface DecideOptions {
  /** The hash of what the server says of itself. */
  manifest: string | undefined
  /** Whether the answer is a stream that lasts as long as its client wants. */
  isLong?: boolean
  /** Aborted when the client has gone. */
  signal: AbortSignal
  /** The round of an earlier call that this call goes on with. */
  continues?: Round | undefined
  /** What the tool's declared mapping makes of the call. */
  mapped?: readonly Mapped[] | undefined
}

/** Runs what the decision point allowed; see `Relay.run`. */
export type Decide = (
  upstream: McpUpstream,
  request: RelayRequest,
  caller: Caller,
  options: DecideOptions,
) => Promise<Relayed | Refusal | Refused>

export interface McpServerOptions {
  /** Its name in paths. */
  name: string
  entry: ServerEntry
  /** Its address as agents know it: the audience of credentials for it alone. */
  url: string
  /** Further audiences that mean this server too: the gateway's address, and the installation's. */
  audiences: readonly string[]
  metadataUrl: string
  point: Pick<EnforcementPoint, 'watch'>
  searches: Pick<Searches, 'make'>
  decide: Decide
  access: Pick<ServerAccess, 'open' | 'identity'>
  pin: Pin | undefined
  /** Called each time that the server was read. */
  onRead?: (reading: Reading) => void
  /** What callers have of the server as it was reached before: its limits hold for all of it. */
  held?: Held
  /** What each agent has at all servers of the gateway. */
  shares: Shares
  clock: Clock
  random: RandomSource
  limits?: Partial<McpLimits>
}

export interface McpLimits {
  /** How old the gateway's last reading of a server may be when a call is decided, in ms. */
  freshMs: number
  /** How long a conversation may be silent, in ms. It then ends, with the process behind it. */
  idleMs: number
  /** How many conversations with the server there may be. */
  conversations: number
  /** How long an answer may flow that no decision allowed, such as that to `ping`: no withdrawal would cut it. */
  undecidedMs: number
}

export const defaultLimits: McpLimits = { freshMs: 30_000, idleMs: 600_000, conversations: 1024, undecidedMs: 120_000 }
