import { jcs, sha256 } from '@bailiwick/credentials'
import type { ApiMeaning } from './api-entry.ts'

const domain = 'bailiwick-api-manifest-v1'

/**
 * The value of `manifest` in the registry for an API with operations: base64url SHA-256 of the JCS array
 * `["bailiwick-api-manifest-v1", { url, forward, operations }]`. People approve what each operation means, so a table that says something
 * else is refused until they approve it too. Undefined without operations: the URL then is the whole meaning.
 */
export function apiManifest({ url, forward, operations }: ApiMeaning): string | undefined {
  if (operations === undefined) return undefined
  return sha256(jcs([domain, { url, forward: forward.toSorted(), operations: operationTable(operations) }]))
}

/** The table of operations, as manifests have it. */
export const operationTable = (operations: NonNullable<ApiMeaning['operations']>) =>
  Object.fromEntries(
    Object.entries(operations).map(([name, { request, query, body, websocket }]) => [
      name,
      { request: request.text, query: query.toSorted(), body: bodyOf(body), ...(websocket ? { websocket } : {}) },
    ]),
  )

/** The order of names means nothing. */
function bodyOf(body: NonNullable<ApiMeaning['operations']>[string]['body']) {
  if (body === undefined) return null
  return Object.fromEntries(
    Object.entries(body).map(([kind, names]) => [kind, Array.isArray(names) ? names.toSorted() : names]),
  )
}
