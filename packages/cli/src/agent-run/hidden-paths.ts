import { existsSync, statSync } from 'node:fs'
import { join, resolve, sep } from 'node:path'
import { ServiceError } from '@bailiwick/errors'
import type { Io } from '../io.ts'

/** Below the home folder: where programs keep credentials, those of the clients of models among them. */
const stores = [
  ...['.aws', '.azure', '.oci', '.config/gcloud', '.config/gh', '.config/glab-cli', '.config/hub', '.config/doctl'],
  ...['.codex/auth.json', '.claude/.credentials.json', '.config/github-copilot'],
  ...['.docker/config.json', '.config/containers/auth.json', '.kube', '.config/helm', '.terraform.d', '.vault-token'],
  ...[
    '.git-credentials',
    '.config/git/credentials',
    '.cache/git/credential',
    '.netrc',
    '.ssh',
    '.gnupg',
    '.password-store',
  ],
  ...['.npmrc', '.pypirc', '.config/pip', '.cargo/credentials.toml', '.cargo/credentials', '.gem/credentials'],
  ...[
    '.gradle/gradle.properties',
    '.config/composer/auth.json',
    '.pgpass',
    '.my.cnf',
    '.config/rclone',
    '.config/op',
    '.config/sops',
    '.local/share/keyrings',
    '.local/share/kwalletd',
  ],
  ...['.mozilla', '.config/google-chrome', '.config/chromium', '.config/BraveSoftware', '.Xauthority'],
]

/** Variables that name files or folders with credentials; several, with colons between them, in KUBECONFIG. */
const named = [
  ...['AWS_SHARED_CREDENTIALS_FILE', 'AWS_CONFIG_FILE', 'AWS_WEB_IDENTITY_TOKEN_FILE', 'AZURE_CONFIG_DIR'],
  ...['CLOUDSDK_CONFIG', 'DOCKER_CONFIG', 'GNUPGHOME', 'GOOGLE_APPLICATION_CREDENTIALS', 'KRB5CCNAME', 'KRB5_KTNAME'],
  ...['KUBECONFIG', 'NETRC', 'NPM_CONFIG_USERCONFIG', 'npm_config_userconfig', 'PGPASSFILE', 'PIP_CONFIG_FILE'],
  ...['REGISTRY_AUTH_FILE', 'XAUTHORITY'],
]

/**
 * Sockets by which a program has another one run what it says, outside of its namespaces and as the same user: the user's and the system's
 * service manager, engines of containers, terminal multiplexers.
 */
const doorsOf = (uid: number): string[] => [
  ...[`/run/user/${uid}`, `/tmp/tmux-${uid}`, '/run/screen', '/run/dbus/system_bus_socket', '/run/systemd/private'],
  ...['/run/docker.sock', '/var/run/docker.sock', '/run/containerd/containerd.sock', '/run/podman/podman.sock'],
]

/** Folders of the usual resolvers: through their sockets, a program without a network could still reach the world by name look-ups. */
const resolvers = [
  ...['/run/nscd', '/var/run/nscd', '/run/systemd/resolve', '/run/nslcd', '/var/run/nslcd', '/var/lib/sss/pipes'],
  ...['/run/avahi-daemon'],
]

export interface HiddenOptions {
  /** The agent's key file. */
  key: string
  /** Of an installation on this machine: it holds keys, and the operator's socket. */
  data: string
  hide: readonly string[]
  show: readonly string[]
  network: 'host' | 'none'
}

/**
 * What a contained program sees as empty: the agent's key, the data directory if there is one, the usual places of credentials below the home
 * folder and that of the program's user, and those that variables name, sockets of programs that would run something for it, each socket that a
 * variable names, and what the person names. Without `show`, and without what is inside a folder that is hidden itself. Throws `config_invalid` for a path of `hide` that
 * does not exist: the person would think that it is hidden.
 */
export function hiddenPaths(
  { key, data, hide, show, network }: HiddenOptions,
  { env, cwd, user }: { env: Io['env']; cwd: string; user: { uid: number; home?: string } },
): string[] {
  const absolute = (path: string) => resolve(cwd, path)
  const shown = new Set(show.map(absolute))
  const { HOME, BAILIWICK_KEYS_SECRET_FILE } = env
  const missing = hide.find((path) => !existsSync(absolute(path)))
  if (missing !== undefined) throw new ServiceError('config_invalid', `--hide: ${missing} does not exist`)
  const usual = [
    ...[HOME, user.home].flatMap((home) => (home === undefined ? [] : stores.map((path) => join(home, path)))),
    ...doorsOf(user.uid),
    ...(network === 'none' ? resolvers : []),
    ...named.flatMap((name) => pathsIn(env[name])).filter((path) => isA(path, 'file', 'folder')),
    ...Object.values(env)
      .flatMap(pathsIn)
      .filter((path) => isA(path, 'socket')),
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

/** Absolute paths in a value: `/a:/b`, `unix:path=/run/x,guid=1`, `FILE:/tmp/krb5cc`, `/tmp/tmux-1000/default,17,0`. */
const pathsIn = (value = ''): string[] =>
  value
    .split(/[:,;=]/)
    .filter((part) => /^\/+[^/]/.test(part))
    .map((part) => resolve(part))

/** Whether there is one of these. Variables may also name `/dev/null`, and what this user may not look at. */
function isA(path: string, ...kinds: ('file' | 'folder' | 'socket')[]): boolean {
  try {
    const found = statSync(path)
    const is = { file: found.isFile(), folder: found.isDirectory(), socket: found.isSocket() }
    return kinds.some((kind) => is[kind])
  } catch {
    return false
  }
}

const contains = (folder: string, path: string): boolean => `${path}${sep}`.startsWith(`${folder}${sep}`)
