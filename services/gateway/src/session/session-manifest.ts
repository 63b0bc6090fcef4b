import { jcs, sha256 } from '@bailiwick/credentials'
import { pinned } from '../pin/pinned.ts'
import { operationTable } from '../proxy/api-manifest.ts'
import type { SessionEntry, SessionOperation } from './session-entry.ts'

const domain = 'bailiwick-session-manifest-v1'

/**
 * The value of `manifest` in the registry: base64url SHA-256 of the JCS array `["bailiwick-session-manifest-v1", { url, login, logout, closed,
 * operations, done }]`, and `values` if an operation has any. People approve which pages an agent may use and what each means. How the gateway logs in is not part of it, except for
 * the pages that it keeps for itself.
 */
export function sessionManifest({ url, login, logout, closed, operations }: SessionEntry): string {
  const table = operationTable(operations)
  const done = Object.fromEntries(
    Object.entries(operations).flatMap(([name, each]) => (each.done ? [[name, each.done.toSorted()]] : [])),
  )
  const values = Object.fromEntries(
    Object.entries(operations).flatMap(([name, each]) =>
      Object.keys(each.values).length === 0 ? [] : [[name, sortedValues(each.values)]],
    ),
  )
  const pages = { login: login.page, logout: `${logout.method} ${logout.target}`, closed: closed.toSorted() }
  const named = Object.keys(values).length === 0 ? {} : { values }
  return sha256(jcs([domain, { url, ...pages, operations: table, done, ...named }]))
}

const sortedValues = (values: SessionOperation['values']) =>
  Object.fromEntries(Object.entries(values).map(([field, texts]) => [field, texts.toSorted()]))

/** The registry's entry of an application. People say in it what each operation does. */
export function sessionRegistryEntry(name: string, entry: SessionEntry) {
  const tools = Object.fromEntries(Object.keys(entry.operations).map((tool) => [tool, { labels: ['unlabelled'] }]))
  return { id: entry.server ?? name, url: entry.url, manifest: sessionManifest(entry), tools }
}

export const pinnedSession = (name: string, entry: SessionEntry) =>
  pinned(sessionRegistryEntry(name, entry), 'Say in the entry what each operation does (labels)')
