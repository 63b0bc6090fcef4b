import { fieldOf, type RawHeaders, type Refused, type RequestHead } from '@bailiwick/relay'
import { announcesBody, bodyUnread } from '../http/request-rules.ts'

/** The request that a proxy asks about. */
export interface AskedAbout {
  readonly head: RequestHead
  readonly body: Uint8Array
  /** It may have content that the proxy does not show. */
  readonly isBodyUnseen: boolean
  /** The host that the client called, if the proxy says it. */
  readonly host: string | undefined
}

/** The request with which a proxy asks, as received. */
export interface Asking {
  readonly method: string
  /** What follows `/authorize/<name>` in the request target. */
  readonly target: string
  /** Names and values alternate. */
  readonly rawHeaders: RawHeaders
  readonly body: Uint8Array
}

/** The field with the proxy's secret. It goes no further. */
export const proxyField = 'bailiwick-proxy'

/**
 * As nginx, Caddy and Traefik ask: method and target are in fields that the proxy writes, and no body is shown. Each field must come once:
 * of two, one may be the client's. The canonical gate refuses other names for the same thing, such as `X-Original-URI`.
 */
export function askedByForwardAuth({ rawHeaders, body }: Asking): AskedAbout | Refused {
  const [method, target] = [onlyField(rawHeaders, 'x-forwarded-method'), onlyField(rawHeaders, 'x-forwarded-uri')]
  if (typeof method !== 'string') return method
  if (typeof target !== 'string') return target
  if (timesOf(rawHeaders, 'x-forwarded-host') > 1) return repeated('x-forwarded-host')
  if (body.length > 0) return { refused: 'request_malformed', detail: 'a body, which this kind of proxy does not show' }
  const host = fieldOf(rawHeaders, 'x-forwarded-host')
  return { head: { method, target, rawHeaders: withoutSecret(rawHeaders) }, body, isBodyUnseen: true, host }
}

/** As Envoy asks: with the request's own method, target and header fields, and with its body if Envoy is set up so. */
export function askedByEnvoy(
  { method, target, rawHeaders, body }: Asking,
  shows: 'shown' | 'unseen',
): AskedAbout | Refused {
  const partial = fieldOf(rawHeaders, 'x-envoy-auth-partial-body')
  if (partial !== undefined && (partial !== 'false' || timesOf(rawHeaders, 'x-envoy-auth-partial-body') > 1))
    return { refused: 'body_not_shown', detail: 'Envoy shows a part of the body' }
  if (shows === 'unseen' && body.length > 0)
    return { refused: 'request_malformed', detail: 'a body, although gateway.yaml has body: unseen' }
  const hidden = hiddenBody(method, rawHeaders, body)
  if (hidden !== undefined && (shows === 'shown' || hidden.refused !== 'body_not_shown')) return hidden
  const host = fieldOf(rawHeaders, 'host')
  const head = { method, target, rawHeaders: withoutSecret(rawHeaders) }
  return { head, body, isBodyUnseen: shows === 'unseen', host }
}

const withBody: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH'])

/** A body that the fields announce, of which Envoy does not show all. Over gRPC, they are the fields of the client. */
function hiddenBody(method: string, rawHeaders: RawHeaders, body: Uint8Array): Refused | undefined {
  const length = fieldOf(rawHeaders, 'content-length')
  const isAnnounced = announcesBody(rawHeaders)
  if (isAnnounced && !withBody.has(method)) return bodyUnread
  const isWhole = length === undefined ? body.length > 0 || !isAnnounced : Number(length) === body.length
  return isWhole ? undefined : { refused: 'body_not_shown', detail: 'Envoy does not show the whole body' }
}

/** The value of a field that comes exactly once. */
export function onlyField(rawHeaders: RawHeaders, name: string): string | Refused {
  const value = fieldOf(rawHeaders, name)
  if (value === undefined) return { refused: 'request_malformed', detail: `the proxy does not send ${name}` }
  return timesOf(rawHeaders, name) > 1 ? repeated(name) : value
}

const withoutSecret = (rawHeaders: RawHeaders): RawHeaders =>
  rawHeaders.filter((_, at) => rawHeaders[at - (at % 2)]?.toLowerCase() !== proxyField)

const timesOf = (rawHeaders: RawHeaders, name: string): number =>
  rawHeaders.filter((field, at) => at % 2 === 0 && field.toLowerCase() === name).length

const repeated = (name: string): Refused => ({ refused: 'header_repeated', detail: name })
