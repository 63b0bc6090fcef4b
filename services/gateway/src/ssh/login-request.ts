import type { Action } from '@bailiwick/credentials'
import { parseStrictJson } from '@bailiwick/kit'
import { fieldOf, type Refused, type RelayRequest } from '@bailiwick/relay'
import { z } from 'zod'
import { readPublicLine } from './public-key.ts'
import type { SshEntry } from './ssh-entry.ts'
import { isSignedBySsh } from './ssh-signature.ts'

/** The namespace of the signature with which a key asks to be certified. */
export const namespace = 'bailiwick'

const bodySchema = z.strictObject({
  host: z.string().max(253),
  account: z.string().max(32),
  /** One line. The account's shell runs it. */
  command: z
    .string()
    .min(1)
    .max(1024)
    .regex(/^[^\p{C}\p{Zl}\p{Zp}]+$/u),
  key: z.string().max(100),
  /** The key's signature over `signedText`. */
  signature: z.string().max(4096),
})

/** The key that a certificate is for, and the login that it allows. */
export type Login = Omit<z.output<typeof bodySchema>, 'signature'>

/** The text that the key signs. No part of it has a line end. */
export const signedText = (name: string, { host, account, command }: Omit<Login, 'key'>) =>
  `bailiwick ssh login\n${name}\n${host}\n${account}\n${command}\n`

/**
 * The action that a request for a certificate asks for: a call of the tool `login`, with all that the certificate will say. The key must have
 * signed the request, so an agent can have no key certified that it does not hold.
 */
export function loginAction(name: string, entry: SshEntry, request: RelayRequest): Action | Refused {
  const malformed = (detail: string): Refused => ({ refused: 'request_malformed', detail })
  if (request.method !== 'POST' || request.target !== '/login') return { refused: 'route_unknown', detail: 'the path' }
  if (fieldOf(request.headers, 'content-type') !== 'application/json')
    return { refused: 'content_type_unsupported', detail: 'application/json' }
  const read = bodySchema.safeParse(jsonOf(request.body))
  if (!read.success) return malformed(`the body: ${read.error.issues[0]?.path.join('.') ?? ''}`)
  const { signature, ...asked } = read.data
  const raw = readPublicLine(asked.key)
  if (raw === undefined) return malformed('key: expected ssh-ed25519 without a comment')
  if (!entry.hosts.includes(asked.host)) return malformed('host: not in gateway.yaml')
  if (!entry.accounts.includes(asked.account)) return malformed('account: not in gateway.yaml')
  if (!isSignedBySsh(signature, { raw, namespace, message: signedText(name, asked) }))
    return malformed('signature: not of this key over this request')
  return {
    name: 'tools/call',
    properties: asked,
    resource: { type: 'tool', id: `${entry.server ?? name}/login` },
  }
}

/** The login that was allowed. */
export const loginOf = ({ properties }: Action): Login => properties as Login

function jsonOf(body: Uint8Array): unknown {
  try {
    return parseStrictJson(body)
  } catch {
    return undefined
  }
}
