import { execFile } from 'node:child_process'
import { realpathSync, statSync } from 'node:fs'
import { userInfo } from 'node:os'
import { sep } from 'node:path'
import { promisify } from 'node:util'
import { ServiceError } from '@bailiwick/errors'
import { bridgeScript, type OwnNetwork } from './own-network.ts'
import type { OwnUser } from './own-user.ts'

export type ContainmentWish = 'auto' | 'required' | 'never'

/** How a program is kept from the key, and how all that it starts is ended. */
export interface Containment {
  /** Words that come before the command. */
  readonly before: readonly string[]
  readonly isContained: boolean
  /** Why it is not contained, if it is not. */
  readonly why?: string
}

export interface ContainedProgram {
  /** Files and folders that it sees as empty. */
  hidden: readonly string[]
  cwd: string
  env: Record<string, string>
  /** The user that it runs as, if not that of this command. */
  user?: Pick<OwnUser, 'uid' | 'gid' | 'before'> | undefined
  /** In place of the network of this machine. */
  network?: Pick<OwnNetwork, 'folder'> | undefined
  /** Sockets, or folders of sockets, that a program without a network sees as they are. */
  shown?: readonly string[]
}

/**
 * Runs as the first process of the new namespaces. It covers what must not be read, and then runs the command in one more user namespace:
 * there the covers belong to a more powerful namespace, so the command cannot take them away, even as root. When this shell ends, the
 * kernel ends every process that is left in the namespace.
 */
const first = (isAlone: boolean) =>
  [
    'n=$1; shift',
    'while [ "$n" -gt 0 ]; do',
    '  if [ -d "$1" ]; then mount -t tmpfs -o ro,size=4k,mode=555 none "$1"; else mount --bind /dev/null "$1"; fi || exit 97',
    '  n=$((n-1)); shift',
    'done',
    ...(isAlone ? [loopback, coverSockets] : []),
    '"$@"',
    'exit $?',
  ].join('\n')

/** A new network has a loopback that is down, and nothing else. */
const loopback = 'ip link set lo up || exit 96'

/** Opens the kernel's list of the sockets of this machine, for `coverSockets`: in a new network it would be empty. */
const openSockets = 'exec 3</proc/net/unix && exec "$@"'

/**
 * A socket with a path is no part of the network: through it, a program could have another one look up a name or send a message. It covers all
 * that exist, except the shown ones. A socket that went away meanwhile need not be covered.
 */
const coverSockets = [
  'm=$1; shift',
  'while read -r _ _ _ _ _ _ _ path; do',
  '  [ -S "$path" ] || continue',
  '  i=0',
  '  for shown do',
  '    [ "$i" -lt "$m" ] || break',
  '    case $path in "$shown" | "$shown"/*) continue 2 ;; esac',
  '    i=$((i+1))',
  '  done',
  '  mount --bind /dev/null "$path" </dev/null || [ ! -S "$path" ] || exit 95',
  'done <&3',
  'exec 3<&-',
  'shift "$m"',
].join('\n')

const probeMs = 10_000

/**
 * Finds out whether this system can contain a program (Linux with user, mount and process namespaces, and util-linux), by doing it once.
 * Throws `config_invalid` if it is required and cannot be, and for a folder that
 * the program would start in: a process reads below its own folder, covered or not.
 */
export async function containmentOf(
  wish: ContainmentWish,
  { hidden, cwd, env, user, network, shown = [] }: ContainedProgram,
): Promise<Containment> {
  const asUser = user?.before ?? []
  if (wish === 'never' && network !== undefined)
    throw new ServiceError('config_invalid', '--network none: only a contained program can be without a network')
  if (wish === 'never') return { before: asUser, isContained: false, why: '--contain never' }
  const real = [...new Set(hidden.map(realPath))]
  // Below a folder that is covered there is nothing left to cover.
  const covered = real.filter((path) => !real.some((other) => other !== path && path.startsWith(`${other}${sep}`)))
  for (const path of covered)
    if (statSync(path).isDirectory() && `${realPath(cwd)}${sep}`.startsWith(`${path}${sep}`))
      throw new ServiceError('config_invalid', `${path} is to be hidden, so start this command outside of it`)
  const works = ([command = '', ...words]: readonly string[]) =>
    promisify(execFile)(command, [...words, 'true'], { env, timeout: probeMs })
  // An `env` that is not that of GNU may not know signals: a program is then killed by the first one.
  const who = user ?? userInfo()
  const alone = network && { folder: network.folder, shown: [network.folder, ...shown] }
  const gentle = [...asUser, ...wordsBefore(covered, who, { isGentle: true, alone })]
  if (await works(gentle).catch(() => false)) return { before: gentle, isContained: true }
  const before = [...asUser, ...wordsBefore(covered, who, { isGentle: false, alone })]
  try {
    await works(before)
    return { before, isContained: true }
  } catch (cause) {
    const why = reasonOf(cause)
    if (network !== undefined)
      throw new ServiceError('config_invalid', `--network none: this system cannot do that: ${why}`, { cause })
    if (wish === 'auto') return { before: asUser, isContained: false, why }
    throw new ServiceError('config_invalid', `--contain required: this system does not: ${why}`, { cause })
  }
}

/** Signals that a program may handle. `unshare` is in its group, and would end with the first one, and the namespace with it. */
const handled = ['INT', 'TERM', 'HUP', 'QUIT']

/** `isGentle`: whether the first process lives through these signals, and the command gets them as if nothing had been before it. */
function wordsBefore(
  covered: readonly string[],
  { uid, gid }: { uid: number; gid: number },
  { isGentle, alone }: { isGentle: boolean; alone: { folder: string; shown: readonly string[] } | undefined },
): string[] {
  const isAlone = alone !== undefined
  const namespaces = ['--user', '--map-root-user', '--mount', '--pid', ...(isAlone ? ['--net'] : [])]
  return [
    // The kernel kills `unshare` with this process, and its namespace with `unshare`.
    ...['setpriv', '--pdeathsig', 'KILL', '--'],
    ...(isGentle ? ['sh', '-c', `trap '' ${handled.join(' ')}; exec "$@"`, 'sh'] : []),
    ...(isAlone ? ['sh', '-c', openSockets, 'sh'] : []),
    ...['unshare', ...namespaces, '--fork', '--mount-proc', '--kill-child', '--'],
    ...['sh', '-c', first(isAlone), 'sh', String(covered.length), ...covered],
    ...(isAlone ? [String(alone.shown.length), ...alone.shown] : []),
    ...(isAlone ? [process.execPath, '-e', bridgeScript, alone.folder] : []),
    ...['unshare', '--user', `--map-user=${uid}`, `--map-group=${gid}`, '--'],
    ...(isGentle ? ['env', `--default-signal=${handled.join(',')}`] : []),
  ]
}

function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch (cause) {
    throw new ServiceError('config_invalid', `${path} does not exist`, { cause })
  }
}

function reasonOf(cause: unknown): string {
  const { stderr, message } = cause as { stderr?: string; message?: string }
  const [line = 'unknown'] = (stderr?.trim() || message || '').split('\n')
  return line
}
