import { ServiceError } from '@bailiwick/errors'
import type { Io } from '../io.ts'

type Env = Io['env']

/** Names of variables that hold credentials, or lead to some: a socket of an agent of keys, a file with passwords. */
const names: readonly RegExp[] = [
  /TOKENS?(_|$)|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|(^|_)(API_?|ACCESS_?)?KEYS?(_|$)/i,
  /(^|_)(PAT|AUTH|PWD|PASS|DSN|COOKIES?|JWT|BEARER|WEBHOOK)(_(URL|FILE|BASE64))?$/i,
  /^(AWS|AZURE|ARM|GOOGLE|GCLOUD|CLOUDSDK|VAULT|OPENAI|ANTHROPIC|BAILIWICK)_/i,
  /^(SSH_AUTH_SOCK|SSH_AGENT_PID|SSH_ASKPASS|GIT_ASKPASS|GPG_AGENT_INFO|GNUPGHOME|GNOME_KEYRING_.*|DBUS_SESSION_BUS_ADDRESS)$/i,
  // Sockets of an editor or a terminal, which run a command outside or hand out the passwords of git.
  /^(VSCODE_.*(IPC|ASKPASS).*|TMUX|STY|NVIM|NVIM_LISTEN_ADDRESS|KITTY_LISTEN_ON|WEZTERM_UNIX_SOCKET|ZELLIJ.*|I3SOCK|SWAYSOCK)$/i,
  /^(KUBECONFIG|KRB5CCNAME|KRB5_KTNAME|NETRC|PGPASSFILE|PGSERVICEFILE|DOCKER_HOST|DOCKER_CONFIG|DOCKER_CERT_PATH|XAUTHORITY)$/i,
]

/** Names that match the patterns, but hold no credentials. */
const harmless = /^(PWD|OLDPWD|AWS_CA_BUNDLE|AWS_REGION|AWS_DEFAULT_REGION|CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE)$/

/** What credentials look like, under any name of a variable. */
const values: readonly RegExp[] = [
  /:\/\/[^/\s:@]*:[^/\s@]+@/, // an address with a password
  /-----BEGIN [A-Z ]*PRIVATE KEY/,
  /\beyJ[\w-]{10,}\.[\w-]{10,}\./, // a JWT
  /\b(sk|rk)[-_][\w-]{16,}|\bgh[pousr]_\w{20,}|\bgithub_pat_|\bglpat-|\bxox[abposr]-|\bAKIA[0-9A-Z]{16}\b|\bAIza[\w-]{30,}|\bnpm_\w{30,}|\bhf_\w{30,}/,
]

export interface ChildEnvironment {
  env: Record<string, string>
  /** What was left out, by name. */
  stripped: string[]
}

/**
 * The environment of a program that must not have the credentials of the person who starts it: without variables that look like credentials
 * by name or value, except those of `keep`, and with `given`. Variables of Bailiwick are left out in any case: they name keys.
 */
export function childEnvironment(
  from: Env,
  { keep = [], given = {} }: { keep?: readonly string[]; given?: Readonly<Record<string, string>> },
): ChildEnvironment {
  const kept = new Set(keep)
  for (const name of kept)
    if (/^BAILIWICK_/i.test(name)) throw new ServiceError('config_invalid', `--keep-env: ${name} is never passed on`)
  const entries = Object.entries(from).filter((entry): entry is [string, string] => entry[1] !== undefined)
  const isCredential = ([name, value]: [string, string]) =>
    !harmless.test(name) && (names.some((form) => form.test(name)) || values.some((form) => form.test(value)))
  const stripped = entries.filter((entry) => !kept.has(entry[0]) && isCredential(entry))
  // Where a proxy is given, another one would lead past it. Where a database is given, libpq would take the rest from its other variables.
  // How a program's other databases are reached stays, unless there is one database, which has no TLS here.
  const hasDatabases = Object.keys(given).some((name) => name.startsWith(variableOf('POSTGRES', '')))
  const isOther = (name: string) =>
    (given.HTTP_PROXY !== undefined && /(^|_)proxy$/i.test(name)) ||
    (hasDatabases && /^PG[A-Z]+$/.test(name) && name !== 'PGSSLMODE')
  const left = entries.filter((entry) => !stripped.includes(entry) && !isOther(entry[0]))
  const env = { ...Object.fromEntries(left), ...given }
  // What is served here is on this machine: a proxy could not reach it, and would learn the address.
  if (given.NO_PROXY === undefined && Object.keys(env).some((name) => /^(https?|all)_proxy$/i.test(name)))
    for (const name of ['NO_PROXY', 'no_proxy']) env[name] = [env[name], '127.0.0.1'].filter(Boolean).join(',')
  return { env, stripped: stripped.map(([name]) => name).toSorted() }
}

/** A name of an entry of `gateway.yaml` as part of a variable's name. */
export const variableOf = (prefix: string, name: string): string =>
  `BAILIWICK_${prefix}_${name.toUpperCase().replaceAll('-', '_')}`

/** What stands where a client wants a key of its provider. The gateway has the key. */
export const placeholderKey = 'bailiwick-placeholder-no-key'

/** The variables of libpq, which psql and most drivers read by themselves. They name the database if there is only one. */
export function databaseEnvironment(
  databases: readonly { readonly port: number; readonly password: string }[],
): Record<string, string> {
  const [only, ...others] = databases
  if (only === undefined || others.length > 0) return {}
  const { port, password } = only
  return {
    ...{ PGHOST: '127.0.0.1', PGPORT: String(port), PGUSER: 'agent', PGPASSWORD: password },
    PGSSLMODE: 'disable',
  }
}
