import { ServiceError } from '@bailiwick/errors'
import { readStrictJsonText } from '@bailiwick/kit'
import { eventWith, type JsonObject, type Message, readEvents, readMessage, type StreamEvent } from '@bailiwick/mcp'

/** The longest message of an upstream, in bytes. */
export const longestMessage = 16 * 1024 * 1024

/** What is done with the messages of an upstream on their way to the client. */
export interface Screen {
  /** The request that is answered; undefined for a stream of notifications. */
  readonly id: string | number | undefined
  /** A request of the upstream to the client, and whether it is passed on. */
  readonly onRequest: (id: string | number, method: string) => boolean
  /** Whether the response to another request may come here: to one whose own stream broke off. */
  readonly isAwaited?: (id: string | number) => boolean
  /** Set where the response may come on another stream. Called if this one ends before it, after an event that a client can resume at. */
  readonly onBrokenOff?: () => void
  readonly onNotification: (method: string) => void
  /** Returns the text in which the response is passed on. */
  readonly onResponse?: ((text: string, value: JsonObject) => string) | undefined
}

/**
 * The events that may pass: notifications, except those about tasks, and the one response to the request. An event that is not a message in strict JSON ends the
 * stream, because a client could read a request in it. A second response is left out: no request asked for it. If the stream ends
 * before the response, it throws, unless the client can get the response elsewhere: what the server did is not known.
 */
export async function* screenEvents(body: AsyncIterable<Uint8Array>, screen: Screen): AsyncGenerator<Uint8Array> {
  let isAnswered = false
  let canResume = false
  for await (const event of readEvents(body, longestMessage)) {
    canResume ||= screen.onBrokenOff !== undefined && hasId(event)
    if (event.data === undefined || event.data === '') {
      yield event.raw
      continue
    }
    const { message, value } = readUpstreamMessage(event.data)
    if (message.kind === 'request') {
      if (screen.onRequest(message.id, message.method)) yield event.raw
    } else if (message.kind === 'notification') {
      screen.onNotification(message.method)
      if (!isOfTasks(message.method)) yield event.raw
    } else if (!isAnswered && message.id === screen.id && screen.id !== undefined) {
      isAnswered = true
      yield shown(event, screen, value)
    } else if (screen.id === undefined && message.id !== undefined && screen.isAwaited?.(message.id) === true)
      yield event.raw
  }
  if (isAnswered || screen.id === undefined) return
  if (!canResume) throw new ServiceError('upstream_failed', 'the stream ended before the response')
  screen.onBrokenOff?.()
}

/**
 * Whether a notification is about a task. Clients must not rely on these. They could be about the task of another client, and hold a result
 * that is under what another decision owes.
 */
export const isOfTasks = (method: string): boolean => /^notifications\/tasks(\/|$)/.test(method)

function shown(event: StreamEvent, { onResponse }: Screen, value: JsonObject): Uint8Array {
  const { data = '' } = event
  const text = onResponse?.(data, value) ?? data
  return text === data ? event.raw : eventWith(event, text)
}

const hasId = ({ raw }: StreamEvent): boolean => /^id: *[^\s]/m.test(Buffer.from(raw).toString('latin1'))

/** The one response in a JSON body. Throws `upstream_failed` for anything else. */
export function screenJson(bytes: Uint8Array, screen: Screen): Uint8Array {
  const text = decode(bytes)
  const { message, value } = readUpstreamMessage(text)
  if (message.kind !== 'response' || (message.id !== undefined && message.id !== screen.id))
    throw new ServiceError('upstream_failed', 'the answer is not the response to the request')
  const given = screen.onResponse?.(text, value) ?? text
  return given === text ? bytes : Buffer.from(given)
}

/** A message of an upstream, read as strictly as one of a client. Throws `upstream_failed`. */
export function readUpstreamMessage(text: string): { message: Message; value: JsonObject } {
  // Numbers are not compared here, and a tool may answer with any.
  const json = readStrictJsonText(text, { maxBytes: longestMessage, maxDepth: 64, exactNumbers: false })
  const message = json.ok ? readMessage(json.value) : undefined
  if (!json.ok || message === undefined || 'refused' in message)
    throw new ServiceError('upstream_failed', 'the upstream sent what is no message in strict JSON')
  return { message, value: json.value as JsonObject }
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new ServiceError('upstream_failed', 'the answer is not UTF-8')
  }
}
