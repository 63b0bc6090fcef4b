import { existsSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { type ToolServer, toolServerSchema } from '@bailiwick/contracts'
import { encodeBase64url } from '@bailiwick/credentials'
import { errorCode, ServiceError } from '@bailiwick/errors'
import type { RandomSource } from '@bailiwick/kit'
import type { SecretPort } from '@bailiwick/relay'
import { z } from 'zod'
import { parseGatewayFile, type ServerEntry } from '../gateway-file.ts'
import type { Manifest } from '../manifest/manifest.ts'
import { type Pin, parsePin, pinFileText, readPin } from '../manifest/pins.ts'
import { accessTo } from '../servers/upstreams.ts'
import { addEntry, type RawEntry, rawServers } from './add-entry.ts'
import { type DraftServer, draftServer } from './draft-server.ts'
import { diffManifests, type ManifestChange } from './manifest-diff.ts'
import { type ReadServer, readServer } from './read-server.ts'

/** What the command line asks for. */
export const planSchema = z.strictObject({
  /** The server's name in `gateway.yaml`. */
  name: z.string(),
  /** Path of `gateway.yaml`, which need not exist yet if a server is added. */
  config: z.string().min(1),
  /** The entry to add; absent if the file has it. */
  entry: z.record(z.string(), z.unknown()).optional(),
  /** The tool servers of the registry, by id. */
  registered: z.record(z.string(), z.unknown()),
  /** Whether the server is new: then no other tool server of the registry may have its name. */
  adding: z.boolean(),
  timeoutSeconds: z.int().min(1).max(3600),
})
export type PlanRequest = z.output<typeof planSchema>

/** What adding a server, or approving it again, would change. None of it is done yet. */
export interface Plan extends DraftServer {
  /** Enforcement point and key folder of `gateway.yaml`. */
  point: string
  keys: string
  /** The new `gateway.yaml`; absent if the file already has the server. `before` is the text that was read. */
  file?: { before: string | null; after: string }
  /** The file of the manifest that people approved (`path`), and of the proposed one (`next`). */
  pin: { path: string; next: string; text: string }
  era: ReadServer['era']
  manifest: string
  /** Which file holds the manifest with the registry's hash. `changes` compares with that manifest; `none`: no file holds it. */
  base: 'pin' | 'next' | 'none'
  changes: ManifestChange[]
}

export interface PlanAdapters {
  env: Readonly<Record<string, string | undefined>>
  secrets: SecretPort
  random: RandomSource
  signal: AbortSignal
}

/** The largest manifest that can be proposed, in bytes: the pin file and the gateway's memory hold all of it. */
const largestManifest = 4 * 1024 * 1024

/** Reads a server and plans its entries. Writes nothing. Throws `config_invalid`, `upstream_…` and `answer_malformed`. */
export async function planServer(request: PlanRequest, adapters: PlanAdapters): Promise<Plan> {
  const { name, config } = request
  const before = existsSync(config) ? readFileSync(config, 'utf8') : undefined
  const file = plannedFile(request, before)
  const parsed = parseGatewayFile(file?.after ?? before ?? '', config)
  const entry = parsed.mcp[name]
  if (entry === undefined)
    throw new ServiceError(
      'config_invalid',
      `${config}: there is no server ${name}: ${Object.keys(parsed.mcp).join(', ')}`,
    )
  const id = entry.server ?? name
  const url = 'url' in entry ? entry.url : `stdio://${name}`
  const registered = registeredAs(id, request.registered)
  if (request.adding && registered !== undefined && registered.url !== url)
    throw new ServiceError(
      'config_invalid',
      `the registry has a tool server ${id} at ${registered.url}, which is another one: add this one by another name, or say in gateway.yaml what the registry calls it (server: NAME)`,
    )
  const read = await readIt(name, entry, request, adapters)
  const path = entry.pin ?? join(dirname(config), `${name}.pin.json`)
  const pin = { path, next: nextOf(path), text: pinText(read.manifest, read.hash) }
  const { base, manifest } = registered === undefined ? none : approvedOf(registered, pin)
  const { notes, ...draft } = draftServer(id, url, read, registered)
  const withoutPin = `${config} names no pin for ${name}: any change hides all of it. Add pin: ${basename(path)}`
  return {
    ...draft,
    notes: entry.pin === undefined ? [...notes, withoutPin] : notes,
    ...{ point: parsed.point, keys: parsed.keys, pin, era: read.era, manifest: read.hash, base },
    ...(file === undefined ? {} : { file }),
    changes: manifest === undefined ? [] : diffManifests(manifest, read.manifest),
  }
}

const none = { base: 'none', manifest: undefined } as const

/** The proposed manifest waits next to the approved one, which the gateway uses until people answer. */
const nextOf = (path: string): string => (path.endsWith('.json') ? `${path.slice(0, -5)}.next.json` : `${path}.next`)

/** The file with the server added; undefined if it already has the server. An entry with other content is never changed. */
function plannedFile(
  { name, config, entry }: PlanRequest,
  before: string | undefined,
): { before: string | null; after: string } | undefined {
  if (entry === undefined) {
    if (before !== undefined) return undefined
    throw new ServiceError(
      'config_invalid',
      `${config} does not exist: name the file with --config, or add the server first`,
    )
  }
  const servers = before === undefined ? {} : rawServers(before, config)
  const present = Object.hasOwn(servers, name) ? servers[name] : undefined
  const planned = { ...entry, pin: `${name}.pin.json` }
  if (present === undefined) return { before: before ?? null, after: addEntry(before, name, planned, basename(config)) }
  if (!saysAll(present, entry))
    throw new ServiceError(
      'config_invalid',
      `${config}: there is a server ${name} with another content, which is not overwritten: choose another name, or edit the file and leave out --url and the command`,
    )
  return undefined
}

/** Whether `present` has each member of `asked`, with the same value. It may have more, which a person added. */
const saysAll = (present: RawEntry, asked: RawEntry): boolean =>
  Object.entries(asked).every(([member, value]) => isDeepStrictEqual(present[member], value)) &&
  'url' in present === 'url' in asked

function registeredAs(id: string, registered: Readonly<Record<string, unknown>>): ToolServer | undefined {
  if (!Object.hasOwn(registered, id)) return undefined
  return toolServerSchema.parse(registered[id])
}

async function readIt(
  name: string,
  entry: ServerEntry,
  { timeoutSeconds }: PlanRequest,
  { env, secrets, random, signal }: PlanAdapters,
): Promise<ReadServer> {
  const newId = () => `bailiwick-${encodeBase64url(random(16))}`
  const deadlineMs = timeoutSeconds * 1000
  let said = ''
  await using access = accessTo(
    { ...entry, ...('command' in entry ? { stderr: 'log' as const } : {}) },
    {
      ...{ secrets, env, answerMs: deadlineMs, newMark: newId },
      onError: (text) => {
        said = (said + text).slice(-longestSaid)
      },
    },
  )
  try {
    return await readServer(access, { newId, deadlineMs, signal })
  } catch (error) {
    throw explained(name, error, { said, timeoutSeconds })
  }
}

const longestSaid = 1000

const hints: Readonly<Record<string, string>> = {
  upstream_unreachable: 'Is it running, and is its address or command right?',
  upstream_failed: 'Is it an MCP server, over streamable HTTP or on its standard output?',
  upstream_too_large: 'The gateway takes no message over 16 MiB.',
  upstream_address_forbidden: 'If the name is meant to lead to a private address, say --private.',
  upstream_redirected: 'Add it by the address to which it leads.',
  secret_unavailable: 'Is the secret there, and may this user read it?',
}

function explained(
  name: string,
  error: unknown,
  { said, timeoutSeconds }: { said: string; timeoutSeconds: number },
): unknown {
  const code = errorCode(error)
  if (code === 'internal') return error
  const hint =
    code === 'upstream_timed_out'
      ? `It gave no answer within ${timeoutSeconds} s; --timeout gives it more.`
      : hints[code]
  const parts = [
    `${name} cannot be read`,
    ...(error instanceof ServiceError && error.detail !== undefined ? [`: ${error.detail}`] : []),
    ...(hint === undefined ? [] : [`. ${hint}`]),
    ...(said.trim() === '' ? [] : [`\nIt wrote to its standard error:\n${said.trim()}`]),
  ]
  return new ServiceError(code, parts.join(''), { cause: error })
}

/** The text of the pin file. Read back, it must give the hash that was read; otherwise the gateway would compare with another one. */
function pinText(manifest: Manifest, hash: string): string {
  const text = pinFileText(manifest)
  if (text.length > largestManifest)
    throw new ServiceError(
      'answer_malformed',
      'the server describes itself in more than 4 MiB, which is too much to review',
    )
  const again = parsePin(Buffer.from(text), 'the description').hash
  if (again !== hash) throw new ServiceError('answer_malformed', 'the description does not survive being written')
  return text
}

/** The manifest whose hash people signed: from the pin, or from a proposal that was approved since. */
function approvedOf(registered: ToolServer, pin: Plan['pin']): { base: Plan['base']; manifest: Manifest | undefined } {
  const [approved, proposed] = [pin.path, pin.next].map((path) => (existsSync(path) ? readPin(path) : undefined))
  const is = (found: Pin | undefined): found is Pin => found?.hash === registered.manifest
  if (is(approved)) return { base: 'pin', manifest: approved.manifest }
  if (is(proposed)) return { base: 'next', manifest: proposed.manifest }
  return none
}
