import { hash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { delimiter, isAbsolute, join, resolve } from 'node:path'
import type { Era } from '@bailiwick/mcp'
import { fillTemplate, type SecretPort, secretsIn } from '@bailiwick/relay'
import { BridgeChannel } from '../bridge/bridge-channel.ts'
import { eraOf } from '../bridge/bridgeable.ts'
import type { ServerEntry, StdioServerEntry } from '../gateway-file.ts'
import type { ServerIdentity } from '../manifest/manifest.ts'
import type { Channel } from './channel.ts'
import { errorText } from './error-text.ts'
import { HttpChannel } from './http-channel.ts'
import { HttpSender } from './http-sender.ts'
import { StdioChannel } from './stdio-channel.ts'

export interface OpenOptions {
  secrets: SecretPort
  /** The gateway's own environment, of which a server gets the few variables that a program needs to run at all. */
  env: Readonly<Record<string, string | undefined>>
  /** How long a server may take to begin an answer. */
  answerMs: number
  newMark: () => string
  onError: (text: string) => void
}

/** One server, as the gateway reaches it. */
export interface ServerAccess extends AsyncDisposable {
  /** Opens a channel to it. If the server has a command, this starts a process. */
  open(era: Era): Promise<Channel>
  identity(): ServerIdentity
}

const inherited = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR']

/** Throws `config_invalid` for a reference to a secret that can never be read. */
export function accessTo(entry: ServerEntry, options: OpenOptions): ServerAccess {
  const own = accessInOwnEra(entry, options)
  const only = eraOf(entry)
  const newId = () => `bailiwick-${options.newMark()}`
  return {
    identity: own.identity,
    open: async (era) =>
      only === undefined || only === era ? own.open(era) : new BridgeChannel(await own.open(only), newId),
    [Symbol.asyncDispose]: () => own[Symbol.asyncDispose](),
  }
}

function accessInOwnEra(entry: ServerEntry, options: OpenOptions): ServerAccess {
  const { secrets, env, answerMs } = options
  const identity = () => identityOf(entry, env)
  if ('url' in entry) {
    const { url, private: isPrivate } = entry
    const sender = new HttpSender({ url, inject: entry.inject.headers, secrets, isPrivate, headMs: answerMs })
    const dispose = () => sender[Symbol.asyncDispose]()
    return { open: async (era) => new HttpChannel(era, sender), identity, [Symbol.asyncDispose]: dispose }
  }
  for (const reference of Object.values(entry.env).flatMap(secretsIn)) secrets.check(reference)
  return { open: (era) => startServer(entry, era, options), identity, [Symbol.asyncDispose]: async () => undefined }
}

async function startServer(entry: StdioServerEntry, era: Era, options: OpenOptions): Promise<Channel> {
  const { secrets, answerMs, newMark, onError } = options
  const own = await Promise.all(
    Object.entries(entry.env).map(async ([name, template]) => ({ name, ...(await fillTemplate(template, secrets)) })),
  )
  const values = own.flatMap((each) => each.values)
  return StdioChannel.start({
    era,
    command: entry.command,
    cwd: entry.cwd,
    env: { ...baseEnv(options.env), ...Object.fromEntries(own.map(({ name, text }) => [name, text])) },
    secrets: values,
    mark: newMark(),
    answerMs,
    onError: entry.stderr === 'log' ? errorText(values, onError) : undefined,
  })
}

function baseEnv(env: OpenOptions['env']): Record<string, string> {
  return Object.fromEntries(inherited.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])))
}

/** The identity of a server: its address, or its command with the hashes of the program and of every file that it names. */
function identityOf(entry: ServerEntry, env: OpenOptions['env']): ServerIdentity {
  if ('url' in entry) return { url: entry.url }
  const files = Object.fromEntries(filesOf(entry, env).map((path) => [path, hashOf(path)]))
  return { command: entry.command, files }
}

const longestFile = 256 * 1024 * 1024

function filesOf({ command, cwd = '.' }: StdioServerEntry, env: OpenOptions['env']): string[] {
  const [program = '', ...args] = command
  const found = isAbsolute(program) || program.includes('/') ? resolve(cwd, program) : onPath(program, env.PATH)
  const named = args.map((arg) => resolve(cwd, arg))
  return [...(found === undefined ? [] : [found]), ...named].filter(isReadableFile)
}

const onPath = (program: string, path = ''): string | undefined =>
  path
    .split(delimiter)
    .map((folder) => join(folder, program))
    .find(isReadableFile)

function isReadableFile(path: string): boolean {
  const stat = statSync(path, { throwIfNoEntry: false })
  return stat?.isFile() === true && stat.size <= longestFile
}

const hashes = new Map<string, { stamp: string; hash: string }>()

/** Hashes a file again only if it may have changed: a program can have a hundred megabytes. */
function hashOf(path: string): string {
  const { mtimeMs, ctimeMs, size, ino } = statSync(path)
  const stamp = [mtimeMs, ctimeMs, size, ino].join()
  const known = hashes.get(path)
  if (known?.stamp === stamp) return known.hash
  const made = { stamp, hash: hash('sha256', readFileSync(path), 'base64url') }
  hashes.set(path, made)
  return made.hash
}
