import { existsSync } from 'node:fs'
import { join, resolve, sep } from 'node:path'
import type { Io } from '../io.ts'

/** Below the home folder: where programs keep credentials. */
const stores = [
  ...['.aws', '.azure', '.config/gcloud', '.config/gh', '.config/hub', '.docker/config.json', '.git-credentials'],
  ...['.gnupg', '.kube', '.local/share/keyrings', '.netrc', '.npmrc', '.pgpass', '.pypirc', '.ssh', '.vault-token'],
  '.Xauthority',
]

/**
 * Sockets by which a program has another one run what it says, outside of its namespaces and as the same user: the user's and the system's
 * service manager, engines of containers, terminal multiplexers.
 */
const doorsOf = (uid: number): string[] => [
  ...[`/run/user/${uid}`, `/tmp/tmux-${uid}`, '/run/screen', '/run/dbus/system_bus_socket', '/run/systemd/private'],
  ...['/run/docker.sock', '/var/run/docker.sock', '/run/containerd/containerd.sock', '/run/podman/podman.sock'],
]

export interface HiddenOptions {
  /** The agent's key file. */
  key: string
  /** Of an installation on this machine: it holds keys, and the operator's socket. */
  data: string
  hide: readonly string[]
  show: readonly string[]
}

/**
 * What a contained program sees as empty: the agent's key, the data directory if there is one, the usual places of credentials below the home
 * folder, sockets of programs that would run something for it, and what the person names. Without `show`, and without what is inside a folder
 * that is hidden itself.
 */
export function hiddenPaths(
  { key, data, hide, show }: HiddenOptions,
  { env, cwd, uid }: { env: Io['env']; cwd: string; uid: number },
): string[] {
  const absolute = (path: string) => resolve(cwd, path)
  const shown = new Set(show.map(absolute))
  const { HOME, SSH_AUTH_SOCK, BAILIWICK_KEYS_SECRET_FILE } = env
  const usual = [
    ...(HOME === undefined ? [] : stores.map((path) => join(HOME, path))),
    ...doorsOf(uid),
    ...(SSH_AUTH_SOCK === undefined ? [] : [SSH_AUTH_SOCK]),
  ].filter((path) => !contains(path, cwd))
  const ours = [
    key,
    ...(BAILIWICK_KEYS_SECRET_FILE === undefined ? [] : [BAILIWICK_KEYS_SECRET_FILE]),
    ...(existsSync(join(absolute(data), 'trust.json')) ? [data] : []),
  ]
  const all = [...ours.map(absolute), ...[...usual, ...hide].map(absolute).filter((path) => !shown.has(path))]
  const there = [...new Set(all)].filter((path) => existsSync(path))
  return there.filter((path) => !there.some((other) => other !== path && contains(other, path)))
}

const contains = (folder: string, path: string): boolean => `${path}${sep}`.startsWith(`${folder}${sep}`)
