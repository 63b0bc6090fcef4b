import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { encodeBase64url } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { type RandomSource, writeFileDurably } from '@bailiwick/kit'
import { usableTools } from '@bailiwick/mcp'
import type { SecretPort } from '@bailiwick/relay'
import { readServer } from '../add/read-server.ts'
import { readGatewayFile } from '../gateway-file.ts'
import { type Manifest, manifestChanges } from '../manifest/manifest.ts'
import { pinFileText, readPin } from '../manifest/pins.ts'
import type { ApiMeaning } from '../proxy/api-entry.ts'
import { apiManifest } from '../proxy/api-manifest.ts'
import { accessTo } from '../servers/upstreams.ts'
import { pinned } from './pinned.ts'

export interface PinServerOptions {
  /** The server, as the file names it. */
  name: string
  /** Path of `gateway.yaml`. */
  config: string
  /** Path of the pin file. */
  out?: string | undefined
  env: Readonly<Record<string, string | undefined>>
  secrets: SecretPort
  random: RandomSource
}

/** The entry of a tool server in the registry, in which each tool still counts as unlabelled. */
export interface ToolServerEntry {
  id: string
  url: string
  manifest: string
  tools: Record<string, { labels: string[] }>
}

/** The registry's entry for a server, also in YAML, and lines for the person who pins it. */
export interface Pinned {
  server: ToolServerEntry
  entry: string
  notes: readonly string[]
}

const deadlineMs = 120_000

/** Reads a server as the gateway will, writes its manifest to the pin file, and makes its registry entry. Throws `config_invalid`. */
export async function pinServer({ name, config, out, env, secrets, random }: PinServerOptions): Promise<Pinned> {
  const { mcp, http, authorize } = readGatewayFile(config)
  const apis: Record<string, ApiMeaning> = { ...http, ...authorize }
  const api = Object.hasOwn(apis, name) ? apis[name] : undefined
  if (api !== undefined) return pinApi(name, api)
  const entry = mcp[name]
  if (entry === undefined) {
    const names = [mcp, http, authorize].flatMap((entries) => Object.keys(entries)).join(', ')
    throw new ServiceError('config_invalid', `${config}: there is no server ${name}: ${names}`)
  }
  const newId = () => `bailiwick-${encodeBase64url(random(16))}`
  await using access = accessTo(entry, {
    ...{ secrets, env, answerMs: 60_000, newMark: newId },
    onError: () => undefined,
  })
  const { manifest, hash } = await readServer(access, { newId, deadlineMs })
  const file = out ?? entry.pin ?? join(dirname(config), `${name}.pin.json`)
  const changes = existsSync(file) ? manifestChanges(readPin(file).manifest, manifest) : undefined
  await writeFileDurably(file, Buffer.from(pinFileText(manifest)))
  const hidden = Object.keys(manifest.tools).filter((tool) => !usableTools(Object.keys(manifest.tools)).has(tool))
  const server = registryEntry(entry.server ?? name, 'url' in entry ? entry.url : `stdio://${name}`, manifest, hash)
  const notes = [
    ...(changes ?? []).map((change) => `changed since the last pin: ${change}`),
    ...(changes?.length === 0 ? ['nothing changed since the last pin'] : []),
    ...hidden.map((tool) => `never shown, for its name: ${tool}`),
    `The pin is in ${file}. Say in the entry what each tool does (labels)`,
  ]
  return { server, ...pinned(server, ...notes) }
}

/** The table of operations is in `gateway.yaml` itself, so there is no pin file. */
function pinApi(name: string, entry: ApiMeaning): Pinned {
  const { url, operations, server: id = name } = entry
  const manifest = apiManifest(entry)
  if (operations === undefined || manifest === undefined)
    throw new ServiceError('config_invalid', `${name} has no operations: grants name its URL, api:${url}`)
  const tools = Object.fromEntries(Object.keys(operations).map((tool) => [tool, { labels: ['unlabelled'] }]))
  const server = { id, url, manifest, tools }
  return { server, ...pinned(server, 'Say in the entry what each operation does (labels)') }
}

/** `unlabelled` is what a tool counts as until a person says what it does: untrusted, private and external at once. */
function registryEntry(id: string, url: string, manifest: Manifest, hash: string): ToolServerEntry {
  const names = [
    ...usableTools(Object.keys(manifest.tools)),
    ...(Object.keys(manifest.prompts).length > 0 ? ['prompts/get'] : []),
    ...(Object.keys(manifest.templates).length > 0 ? ['resources/read'] : []),
  ]
  const tools = Object.fromEntries(names.map((name) => [name, { labels: ['unlabelled'] }]))
  return { id, url, manifest: hash, tools }
}
