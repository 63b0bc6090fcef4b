import type { Refused } from '@bailiwick/relay'
import { lineOf, type Packet, readPackets } from './pkt-line.ts'

/** What a request to `git-upload-pack` asks for. */
export type FetchCommand = 'ls-refs' | 'fetch' | 'object-info'

const id = '(?:[0-9a-f]{40}|[0-9a-f]{64})'
const name = '[!-~]{1,512}'

/** What may follow a command of version 2 (gitprotocol-v2). `packfile-uris` is left out: it would send the client elsewhere. */
const argumentsOf: Readonly<Record<FetchCommand, RegExp>> = {
  'ls-refs': new RegExp(`^(?:symrefs|peel|unborn|ref-prefix ${name})$`),
  fetch: new RegExp(
    `^(?:(?:want|have|shallow) ${id}|done|thin-pack|no-progress|include-tag|ofs-delta|deepen \\d{1,10}|deepen-relative|deepen-since \\d{1,15}|deepen-not ${name}|filter ${name}|want-ref ${name}|sideband-all|wait-for-done)$`,
  ),
  'object-info': new RegExp(`^(?:size|oid ${id})$`),
}

/** Capabilities of a request of version 2. `server-option` is left out: hooks of the server may act on it. */
const capability = /^(?:agent|session-id)=[!-~]{1,256}$|^object-format=(?:sha1|sha256)$/

/** What may precede the first flush of versions 0 and 1 (gitprotocol-pack), and what may follow it. */
const wanted = new RegExp(
  `^(?:want ${id}(?: [!-~]{1,256}){0,32} ?|shallow ${id}|deepen \\d{1,10}|deepen-since \\d{1,15}|deepen-not ${name}|filter ${name})$`,
)
const negotiated = new RegExp(`^(?:have ${id}|done)$`)

/**
 * Reads a whole request to `git-upload-pack` in the version of the protocol that it names in `Git-Protocol`. A second command in it is
 * refused: git ignores it, and another server may not.
 */
export function readFetchRequest(bytes: Buffer, version: '0' | '1' | '2'): FetchCommand | Refused {
  const packets = readPackets(bytes)
  if (packets === undefined || packets.length === 0) return malformed('the request')
  return version === '2' ? readCommand(packets) : readNegotiation(packets)
}

function readCommand(packets: Packet[]): FetchCommand | Refused {
  const [first, ...others] = packets
  const [, command] = /^command=(.*)$/.exec(lineOf(first) ?? '') ?? []
  if (command === undefined) return malformed('the command')
  if (!isCommand(command)) return { refused: 'git_feature_refused', detail: 'a command' }
  if (others.pop() !== 'flush') return malformed('the end')
  const mark = others.indexOf('delimiter')
  const [before, after] = mark < 0 ? [others, []] : [others.slice(0, mark), others.slice(mark + 1)]
  if (!before.every((packet) => capability.test(lineOf(packet) ?? '')))
    return { refused: 'git_feature_refused', detail: 'a capability' }
  if (!after.every((packet) => argumentsOf[command].test(lineOf(packet) ?? '')))
    return { refused: 'git_feature_refused', detail: 'an argument of the command' }
  return command
}

function readNegotiation(packets: Packet[]): FetchCommand | Refused {
  const end = packets.indexOf('flush')
  const [before, after] = [packets.slice(0, end), packets.slice(end + 1)]
  if (end < 1 || !before.every((packet) => wanted.test(lineOf(packet) ?? ''))) return malformed('what is wanted')
  const isKnown = (packet: Packet) => packet === 'flush' || negotiated.test(lineOf(packet) ?? '')
  return after.every(isKnown) ? 'fetch' : malformed('what the client has')
}

const isCommand = (text: string): text is FetchCommand => Object.hasOwn(argumentsOf, text)
const malformed = (detail: string): Refused => ({ refused: 'git_request_malformed', detail })
