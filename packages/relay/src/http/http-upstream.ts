import { ServiceError } from '@bailiwick/errors'
import { isHandshake } from '../gate/handshake.ts'
import { checkPath } from '../gate/target.ts'
import type { SecretPort } from '../secrets/secret-port.ts'
import { headerTemplate, type Template } from '../secrets/template.ts'
import type { RawHeaders, Upstream } from '../upstream.ts'
import { httpAction, isNeutral } from './http-action.ts'
import type { Resolve } from './lookup.ts'
import { Sender } from './sender.ts'

export interface HttpUpstreamOptions {
  /** Names the API in actions: a request for `/v1/invoices` is for the resource `<name>/v1/invoices`. */
  name: string
  /** `http://billing.internal:3001/base`: requests go below it. No credentials, no query. */
  url: string
  /** Fields that are added to each request, with secrets in them: `{ authorization: 'Bearer ${secret:file:/run/secrets/billing}' }`. */
  inject?: Readonly<Record<string, string | Template>>
  secrets: SecretPort
  /**
   * Names of request fields that are sent on, besides Accept, Accept-Language and Content-Type. They are part of the action. The relay
   * drops all other fields of a request.
   */
  forward?: readonly string[]
  /** Whether the name may resolve to private addresses. An IP address or `localhost` in the URL needs no such permission. Default: no. */
  isPrivate?: boolean
  /** The most calls under way at the same time; default 256. */
  mostCalls?: number
  /** The time to connect, to the head of an answer, and between two parts of it, in ms; default 5 s, 60 s, 5 min. */
  connectMs?: number
  headMs?: number
  idleMs?: number
  /** The longest answer, in bytes; default 64 MiB. */
  mostAnswerBytes?: number
  /** A certificate authority to trust instead of the system's. */
  ca?: string
  /** For tests. */
  resolve?: Resolve
}

const defaults = {
  mostCalls: 256,
  connectMs: 5000,
  headMs: 60_000,
  idleMs: 300_000,
  mostAnswerBytes: 64 * 1024 * 1024,
  isPrivate: false,
  forward: [] as readonly string[],
}

/** Fields that the relay itself writes, or that would change who the sender is or where the body ends. */
const notForwarded =
  /^(?:authorization|connection|content-.*|cookie|dpop|host|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade)$/

/**
 * A plain HTTP API: each request is an action of its own (`httpAction`). Redirects are not followed, encoded answers are not read, and no
 * environment proxy is used. Throws `config_invalid`.
 */
export function httpUpstream(options: HttpUpstreamOptions): Upstream {
  const { name, secrets, forward: named, mostAnswerBytes, ...connections } = { ...defaults, ...options }
  checkUrl(options.url)
  const inject = Object.fromEntries(
    Object.entries(options.inject ?? {}).map(([field, template]) => [fieldName(field), headerTemplate(template)]),
  )
  const forward = new Set(named.map(fieldName))
  for (const field of forward)
    if (notForwarded.test(field) || Object.hasOwn(inject, field))
      throw new ServiceError('config_invalid', `forward: ${field} cannot be passed on`)
  const sender = new Sender({ ...connections, inject, secrets, mostBytes: mostAnswerBytes })
  const isSent = (field: string) => isNeutral(field) || forward.has(field)
  return {
    toAction: httpAction(name, forward),
    async execute({ signal }, { method, target: below, headers: given, body }) {
      const headers = keep(given, isSent)
      if (!isHandshake({ headers: given })) return sender.send({ method, below, headers, body }, signal)
      const opened = await sender.openWebSocket({ below, headers }, signal)
      const chosen = opened.protocol === undefined ? [] : ['sec-websocket-protocol', opened.protocol]
      return { status: 101, headers: chosen, body: opened.body, writable: opened.socket }
    },
    [Symbol.asyncDispose]: () => sender[Symbol.asyncDispose](),
  }
}

const keep = (headers: RawHeaders, isKept: (field: string) => boolean): string[] =>
  headers.filter((_, at) => isKept((headers[at - (at % 2)] ?? '').toLowerCase()))

function fieldName(field: string): string {
  if (!/^[a-z0-9-]+$/i.test(field)) throw new ServiceError('config_invalid', 'the name of a header field')
  return field.toLowerCase()
}

function checkUrl(text: string): void {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isPlain =
    (url?.protocol === 'http:' || url?.protocol === 'https:') &&
    url.username === '' &&
    url.password === '' &&
    !/[?#@]/.test(text)
  if (url === undefined || !isPlain)
    throw new ServiceError('config_invalid', 'url: http or https, without credentials and query')
  // Compared as written, because a parser would resolve dots and other spellings.
  const [, written = ''] = /^https?:\/\/[^/]+(\/.*)?$/.exec(text) ?? []
  const base = written.replace(/\/$/, '')
  if (base !== '' && (checkPath(base) || base !== url.pathname.replace(/\/$/, '')))
    throw new ServiceError('config_invalid', 'url: its path is not canonical')
}
