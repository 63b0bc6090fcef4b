import { hashedManifestText, toolManifestSchema } from '@bailiwick/contracts'
import { jcs, sha256 } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { isObject, type JsonObject } from '@bailiwick/mcp'

/** The identity of a server: its address, or its command with the hashes of the files that the command names. */
export type ServerIdentity =
  | { readonly url: string }
  | { readonly command: readonly string[]; readonly files: Readonly<Record<string, string>> }

/** Everything that a server says about itself to a model: what people approve when they approve its manifest. */
export interface Manifest {
  readonly identity: ServerIdentity
  readonly server_info: unknown
  readonly instructions: unknown
  /** By name, as the server describes them. */
  readonly tools: Readonly<Record<string, JsonObject>>
  readonly prompts: Readonly<Record<string, JsonObject>>
  /** By URI template. */
  readonly templates: Readonly<Record<string, JsonObject>>
}

/** The canonical text of a manifest. Throws `answer_malformed` for descriptions without a canonical form. */
export const manifestText = (manifest: Manifest): string => canonical(manifest)

/** The value of `manifest` in the registry (`hashedManifestText`), in base64url. Throws as `manifestText` does. */
export function manifestHash(manifest: Manifest): string {
  return sha256(hashedManifestText(manifestText(manifest)))
}

/** What a server says of itself, for one conversation with it. */
export interface Hello {
  readonly serverInfo?: unknown
  readonly instructions?: unknown
  readonly capabilities: JsonObject
  /** The revision that the server chose, in the legacy era. */
  readonly protocolVersion?: unknown
}

/** The conversation in which a manifest is read. */
export interface Conversation {
  /** The result of a request; undefined if the server does not have the method. Rejects with `upstream_…` errors. */
  request(method: string, params: JsonObject): Promise<JsonObject | undefined>
}

const mostPages = 64
const mostItems = 4096

/** Reads all lists of a server to their ends. Throws `answer_malformed` for lists that name something twice, or that do not end. */
export async function readManifest(
  conversation: Conversation,
  identity: ServerIdentity,
  hello: Hello,
): Promise<Manifest> {
  const has = (capability: string) => isObject(hello.capabilities[capability])
  const read = (capability: string, method: string, list: string, name: string) =>
    has(capability) ? readList(conversation, method, list, name) : {}
  return {
    identity,
    server_info: hello.serverInfo ?? null,
    instructions: hello.instructions ?? null,
    tools: await read('tools', 'tools/list', 'tools', 'name'),
    prompts: await read('prompts', 'prompts/list', 'prompts', 'name'),
    templates: await read('resources', 'resources/templates/list', 'resourceTemplates', 'uriTemplate'),
  }
}

async function readList(
  conversation: Conversation,
  method: string,
  list: string,
  name: string,
): Promise<Record<string, JsonObject>> {
  const found = new Map<string, JsonObject>()
  let cursor: string | undefined
  for (let pages = 0; pages < mostPages; pages++) {
    const result = await conversation.request(method, cursor === undefined ? {} : { cursor })
    if (result === undefined) break
    const items = result[list]
    if (!Array.isArray(items)) throw malformed(`${method}: no list`)
    for (const item of items) {
      const named = isObject(item) ? item[name] : undefined
      if (typeof named !== 'string' || found.has(named)) throw malformed(`${method}: an item without a name of its own`)
      found.set(named, item)
      if (found.size > mostItems) throw malformed(`${method}: over ${mostItems} items`)
    }
    const next = result.nextCursor
    if (typeof next !== 'string') return Object.fromEntries(found)
    cursor = next
  }
  if (cursor !== undefined) throw malformed(`${method}: the list does not end`)
  return Object.fromEntries(found)
}

/** A manifest from a pin file. Throws `config_invalid`. */
export function parseManifest(value: unknown, file: string): Manifest {
  const read = toolManifestSchema.safeParse(value)
  if (read.success) return read.data
  throw new ServiceError('config_invalid', `${file} is no pin: make it with bailiwick gateway pin`)
}

/** The kinds of things that a manifest describes one by one. */
export type Described = 'tools' | 'prompts' | 'templates'

/** The things that are new, gone or different in `now`: names for people to read, and for the gateway to hide. */
export function manifestChanges(pinned: Manifest, now: Manifest): string[] {
  const whole = (['identity', 'server_info', 'instructions'] as const).filter(
    (part) => !isSame(pinned[part], now[part]),
  )
  const each = (['tools', 'prompts', 'templates'] as const).flatMap((kind) => {
    const names = [...new Set([...Object.keys(pinned[kind]), ...Object.keys(now[kind])])].sort()
    return names.flatMap((name) => {
      const [before, after] = [own(pinned[kind], name), own(now[kind], name)]
      if (isSame(before, after)) return []
      return [`${kind} ${name}: ${before === undefined ? 'new' : after === undefined ? 'gone' : 'changed'}`]
    })
  })
  return [...whole.map((part) => `${part}: changed`), ...each]
}

/** Whether the server itself is the pinned one. Its tools are compared one by one. */
export const isSameServer = (pinned: Manifest, now: Manifest): boolean =>
  (['identity', 'server_info', 'instructions'] as const).every((part) => isSame(pinned[part], now[part]))

/** What a manifest says of one thing. */
export const describedIn = (manifest: Manifest, kind: Described, name: string): JsonObject | undefined =>
  own(manifest[kind], name)

/** Whether one description is the pinned one, letter for letter. */
export function isPinned(pinned: Manifest, now: Manifest, kind: Described, name: string): boolean {
  const [before, after] = [own(pinned[kind], name), own(now[kind], name)]
  return before !== undefined && after !== undefined && isSame(before, after)
}

const own = (record: Readonly<Record<string, JsonObject>>, name: string) =>
  Object.hasOwn(record, name) ? record[name] : undefined

/** Whether two descriptions are equal in their canonical form. */
export const isSame = (a: unknown, b: unknown): boolean => canonical(a ?? null) === canonical(b ?? null)

function canonical(value: unknown): string {
  try {
    return jcs(value)
  } catch (error) {
    throw new ServiceError('answer_malformed', 'the server describes itself without a canonical form', { cause: error })
  }
}

const malformed = (detail: string) => new ServiceError('answer_malformed', detail)
