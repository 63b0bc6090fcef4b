import { createHash, randomBytes } from 'node:crypto'
import { ServiceError } from '@bailiwick/errors'
import { isHandshake } from '../gate/handshake.ts'
import { checkPath } from '../gate/target.ts'
import type { SecretPort } from '../secrets/secret-port.ts'
import { secretTemplate } from '../secrets/template.ts'
import { isFindable, withoutSecrets } from '../secrets/without-secrets.ts'
import type { Executed, RawHeaders, Upstream } from '../upstream.ts'
import { passedOn } from './answer-headers.ts'
import { Connections } from './connections.ts'
import { type Answered, exchange } from './exchange.ts'
import { httpAction, isNeutral } from './http-action.ts'
import type { Resolve } from './lookup.ts'
import { openWebSocket } from './websocket.ts'

export interface HttpUpstreamOptions {
  /** Names the API in actions: a request for `/v1/invoices` is for the resource `<name>/v1/invoices`. */
  name: string
  /** `http://billing.internal:3001/base`: requests go below it. No credentials, no query. */
  url: string
  /** Fields that are added to each request, with secrets in them: `{ authorization: 'Bearer ${secret:file:/run/secrets/billing}' }`. */
  inject?: Readonly<Record<string, string>>
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
  const { name, isPrivate, mostCalls, connectMs, headMs, idleMs, mostAnswerBytes, ca, resolve } = {
    ...defaults,
    ...options,
  }
  const { origin, base } = readUrl(options.url)
  const inject = Object.entries(options.inject ?? {}).map(([field, template]) => ({
    field: fieldName(field),
    template: secretTemplate(template, options.secrets),
  }))
  const forward = new Set((options.forward ?? defaults.forward).map(fieldName))
  for (const field of forward)
    if (notForwarded.test(field) || inject.some((each) => each.field === field))
      throw new ServiceError('config_invalid', `forward: ${field} cannot be passed on`)
  const action = httpAction(name, forward)
  const pool = { origin, isPrivate, mostCalls, connectMs, headMs, idleMs, ca, resolve }
  /** Connections that carried one secret are not used with another: the upstream may remember whom a connection belongs to. */
  let current: { of: string; connections: Connections } | undefined

  async function injected(): Promise<{ headers: RawHeaders; secrets: readonly string[]; connections: Connections }> {
    const filled = await Promise.all(inject.map(async ({ field, template }) => ({ field, ...(await template.fill()) })))
    const of = createHash('sha256')
      .update(JSON.stringify(filled.map(({ text }) => text)))
      .digest('base64')
    if (current?.of !== of) {
      // Calls under way are not disturbed: they keep the connections that they took.
      void current?.connections.retire()
      current = { of, connections: new Connections(pool) }
    }
    const { connections } = current
    return {
      headers: filled.flatMap(({ field, text }) => [field, text]),
      secrets: filled.flatMap(({ values }) => values).filter(isFindable),
      connections,
    }
  }

  return {
    toAction: action,
    async execute({ signal }, { method, target, headers, body }) {
      const { headers: added, secrets, connections } = await injected()
      if (signal.aborted) throw signal.reason
      const client = connections.take()
      const fields = [...keep(headers, (field) => isNeutral(field) || forward.has(field)), ...added]
      if (isHandshake({ headers })) {
        const opening = { target: `${base}${target}`, headers: fields, key: randomBytes(16).toString('base64') }
        const opened = await openWebSocket(client, opening, headMs, signal, () => connections.release(client, false))
        const { body, socket: writable, protocol } = opened
        const chosen = protocol === undefined ? [] : ['sec-websocket-protocol', protocol]
        return { status: 101, headers: passedOn(chosen, secrets), body: withoutSecrets(body, secrets), writable }
      }
      const sent = {
        method,
        target: `${base}${target}`,
        headers: [...fields, 'accept-encoding', 'identity'],
        body,
      }
      const limits = { headMs, mostBytes: mostAnswerBytes }
      const answered = await exchange(client, sent, limits, signal, (isWhole) => connections.release(client, isWhole))
      return checked(answered, secrets)
    },
    async [Symbol.asyncDispose]() {
      await current?.connections[Symbol.asyncDispose]()
    },
  }
}

/** Refuses answers that would lead the client elsewhere, or that cannot be read as they are. */
function checked({ status, headers, body }: Answered, secrets: readonly string[]): Executed {
  const refuse = (code: 'upstream_redirected' | 'upstream_failed', detail?: string) => {
    void body.return?.()
    return new ServiceError(code, detail)
  }
  if (status >= 300 && status < 400 && status !== 304) throw refuse('upstream_redirected')
  const encoding = keep(headers, (field) => field === 'content-encoding')
  if (encoding.some((text, at) => at % 2 === 1 && text.toLowerCase() !== 'identity'))
    throw refuse('upstream_failed', 'an encoded answer, which was not asked for')
  return { status, headers: passedOn(headers, secrets), body: withoutSecrets(body, secrets) }
}

const keep = (headers: RawHeaders, isKept: (field: string) => boolean): string[] =>
  headers.filter((_, at) => isKept((headers[at - (at % 2)] ?? '').toLowerCase()))

function fieldName(field: string): string {
  if (!/^[a-z0-9-]+$/i.test(field)) throw new ServiceError('config_invalid', 'the name of a header field')
  return field.toLowerCase()
}

function readUrl(text: string): { origin: string; base: string } {
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
  return { origin: url.origin, base }
}
