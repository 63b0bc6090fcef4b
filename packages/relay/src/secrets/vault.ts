import { readStrictJson } from '@bailiwick/kit'
import type { Secret } from './secret-port.ts'

/** A server that speaks the HTTP API of Vault's KV version 2 (HashiCorp Vault, OpenBao). */
export interface VaultOptions {
  /** `https://vault.example:8200`, without a path. */
  address: string
  /** The reference of the token, by another scheme: `file:/run/secrets/vault-token`. An agent of the server renews what it names. */
  token: string
  namespace?: string
}

const withinMs = 10_000
const longest = 1_048_576

/** `MOUNT/PATH#FIELD` of a secrets engine KV version 2, its newest version. Throws if there is none; the error quotes nothing. */
export async function readVault(
  { address, token, namespace }: VaultOptions,
  place: string,
  read: (reference: string) => Promise<Secret>,
): Promise<string> {
  const [, mount = '', path = '', field = ''] = /^([\w.-]+)\/([\w./-]+)#([\w.-]+)$/.exec(place) ?? []
  if (field === '' || path.split('/').some((part) => /^\.{0,2}$/.test(part))) throw new Error('no place')
  if (token.startsWith('vault:')) throw new Error('the token cannot come from the server that it opens')
  const { origin } = new URL(address)
  const response = await fetch(`${origin}/v1/${mount}/data/${path}`, {
    headers: {
      accept: 'application/json',
      'x-vault-token': (await read(token)).reveal(),
      'x-vault-request': 'true',
      ...(namespace === undefined ? {} : { 'x-vault-namespace': namespace }),
    },
    redirect: 'error', // the token goes to the configured server alone
    signal: AbortSignal.timeout(withinMs),
  })
  if (response.status !== 200) throw new Error(`status ${response.status}`)
  const json = readStrictJson(await bounded(response), { maxBytes: longest, exactNumbers: false })
  const value: unknown = json.ok ? memberOf(memberOf(memberOf(json.value, 'data'), 'data'), field) : undefined
  if (typeof value !== 'string') throw new Error('no such field')
  return value
}

async function bounded(response: Response): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of response.body ?? []) {
    length += chunk.length
    if (length > longest) throw new Error('the answer is too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

const memberOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined
