import type { Refused } from '@bailiwick/relay'
import { lineOf, type Packet, readPacket, readPackets } from './pkt-line.ts'

/** One command of a push: the ref is to move from one object to another. All zeros: it does not exist before, or afterwards. */
export interface PushCommand {
  readonly old: string
  readonly new: string
  readonly ref: string
}

/** What precedes the pack in a push. */
export interface PushCommands {
  readonly commands: readonly PushCommand[]
  readonly capabilities: readonly string[]
  /** How many commits the client says that it has no parents of. */
  readonly shallow: number
}

/** The longest list of commands, in bytes. */
export const longestCommands = 65_536

/**
 * Where the commands end: after the first flush. The bytes after it are the pack, and no packets. `more`: not yet, and where the next look
 * begins.
 */
export function endOfCommands(bytes: Buffer, from: number): { end: number } | { more: number } | Refused {
  for (let at = from; ; ) {
    const read = readPacket(bytes, at)
    if (read === 'malformed') return malformed('a packet')
    if (read === 'more') return { more: at }
    if (read.packet === 'delimiter') return malformed('a delimiter')
    if (read.packet === 'flush') return { end: read.end }
    at = read.end
  }
}

/** Capabilities that change the form of the answer, or describe the client. All others are refused. */
const harmless =
  /^(?:report-status|report-status-v2|side-band-64k|quiet|atomic|ofs-delta|delete-refs|object-format=(?:sha1|sha256)|(?:agent|session-id)=[!-~]{1,256})$/

/** Reads the list of commands as it is written, whether a push may be like this or not. */
export function readCommandList(bytes: Buffer): PushCommands | Refused {
  if (bytes.length > longestCommands) return malformed('too many commands')
  const packets = readPackets(bytes)
  if (packets === undefined || packets.pop() !== 'flush') return malformed('the list of commands')
  const shallow = packets.findIndex((packet) => !isShallow(packet))
  const [first, ...others] = shallow < 0 ? [] : packets.slice(shallow)
  if (startsWith(first, 'push-cert')) return { refused: 'git_feature_refused', detail: 'a signed push' }
  const [command, capabilities] = firstOf(first)
  if (command === undefined || capabilities === undefined) return malformed('the first command')
  const commands = [command]
  for (const packet of others) {
    const next = commandOf(lineOf(packet))
    if (next === undefined) return malformed('a command')
    commands.push(next)
  }
  return { commands, capabilities, shallow: Math.max(shallow, 0) }
}

/**
 * Reads the list of commands of a push: what `git-receive-pack` takes, and nothing that another reader could take for something else. A
 * signed push is refused, because its certificate names the refs a second time, and so are push options, which hooks of the server act on.
 */
export function readPushCommands(bytes: Buffer): PushCommands | Refused {
  const push = readCommandList(bytes)
  if ('refused' in push) return push
  const { commands, capabilities } = push
  if (capabilities.includes('push-options')) return { refused: 'git_feature_refused', detail: 'push options' }
  if (!capabilities.every((each) => harmless.test(each)) || new Set(capabilities).size < capabilities.length)
    return { refused: 'git_feature_refused', detail: 'a capability' }
  const length = capabilities.includes('object-format=sha256') ? 64 : 40
  for (const { ref, ...ids } of commands) {
    if (ids.old.length !== length || ids.new.length !== length) return malformed('an object id')
    if (isZero(ids.old) && isZero(ids.new)) return malformed('a command that does nothing')
    if (!isPlainRef(ref)) return { refused: 'git_ref_refused', detail: 'the name of a ref' }
  }
  return push
}

/** Whether nothing is pushed, so that no pack follows. */
export const deletesOnly = ({ commands }: PushCommands): boolean => commands.every((command) => isZero(command.new))

export const isZero = (id: string): boolean => /^0+$/.test(id)

/** One segment of a ref. git allows more; what other servers, file systems and people read differently is left out. */
const segment = /^[A-Za-z0-9_+=,#@-][A-Za-z0-9_+=,#@.-]*$/

/** Whether a ref has a name that is read in one way: `refs/`, and segments of letters, digits and a few signs (git-check-ref-format). */
export function isPlainRef(ref: string): boolean {
  const [root, ...segments] = ref.split('/')
  if (root !== 'refs' || segments.length < 2 || ref.length > 255) return false
  return segments.every(
    (each) => segment.test(each) && !/\.\.|\.$|^-|^@$/.test(each) && !each.toLowerCase().endsWith('.lock'),
  )
}

const isShallow = (packet: Packet) => /^shallow (?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(lineOf(packet) ?? '')
const startsWith = (packet: Packet | undefined, text: string) =>
  Buffer.isBuffer(packet) && packet.subarray(0, text.length).equals(Buffer.from(text))

/** The first command, after whose NUL the capabilities stand. Only this line may have a NUL, and only one. */
function firstOf(packet: Packet | undefined): [command?: PushCommand | undefined, capabilities?: string[]] {
  const [text = '', list, ...more] = (lineOf(packet, '\0') ?? '').split('\0')
  if (list === undefined || more.length > 0) return []
  return [commandOf(text), list.split(' ').filter((each) => each !== '')]
}

function commandOf(text: string | undefined): PushCommand | undefined {
  const [, old, next, ref] = /^([0-9a-f]{40}|[0-9a-f]{64}) ([0-9a-f]{40}|[0-9a-f]{64}) ([!-~]+)$/.exec(text ?? '') ?? []
  return old === undefined || next === undefined || ref === undefined ? undefined : { old, new: next, ref }
}

const malformed = (detail: string): Refused => ({ refused: 'git_request_malformed', detail })
