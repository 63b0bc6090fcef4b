import { createHash } from 'node:crypto'
import type { RawHeaders, Refused, RelayRequest } from '../upstream.ts'
import { fieldOf } from './headers.ts'
import { refuse } from './refuse.ts'

/** What `readHandshake` takes out of the fields. A server is never offered an extension: the frames pass as they are. */
const ofWebSockets: readonly string[] = ['sec-websocket-extensions', 'sec-websocket-key', 'sec-websocket-version']

/**
 * Reads the fields of a request that asks for another protocol on its connection (RFC 9110 §7.8), strictly. `headers` are those that remain
 * for the gate, `fields` those that were taken out, by name: `Connection`, `Upgrade`, and `own`.
 */
export function readUpgrade(
  rawHeaders: RawHeaders,
  protocol: string,
  own: readonly string[] = [],
): { headers: RawHeaders; fields: ReadonlyMap<string, string> } | Refused {
  const taken = new Set(['connection', 'upgrade', ...own])
  const fields = new Map<string, string>()
  const headers: string[] = []
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const [name = '', text = ''] = [rawHeaders[at], rawHeaders[at + 1]]
    const lower = name.toLowerCase()
    if (!taken.has(lower)) headers.push(name, text)
    else if (fields.has(lower) && lower !== 'sec-websocket-extensions') return refuse('header_repeated', lower)
    else fields.set(lower, text)
  }
  if (fields.get('upgrade')?.toLowerCase() !== protocol) return refuse('header_forbidden', 'upgrade')
  const options = (fields.get('connection') ?? '').split(',').map((each) => each.trim().toLowerCase())
  if (!options.includes('upgrade') || !options.every((each) => each === 'upgrade' || each === 'keep-alive'))
    return refuse('header_connection_forbidden', 'connection')
  return { headers, fields }
}

/** Reads the opening of a WebSocket (RFC 6455 §4.2.1), as `readUpgrade` does. `key` is what the answer must name. */
export function readHandshake(rawHeaders: RawHeaders): { headers: RawHeaders; key: string } | Refused {
  const upgrade = readUpgrade(rawHeaders, 'websocket', ofWebSockets)
  if ('refused' in upgrade) return upgrade
  const { headers, fields } = upgrade
  if (fields.get('sec-websocket-version') !== '13') return refuse('header_value_forbidden', 'sec-websocket-version')
  const key = fields.get('sec-websocket-key') ?? ''
  // 16 bytes in base64: 22 characters, of which the last has four bits of its own.
  if (!/^[A-Za-z0-9+/]{21}[AQgw]==$/.test(key)) return refuse('header_value_forbidden', 'sec-websocket-key')
  return { headers, key }
}

/** The value of `Sec-WebSocket-Accept` for a key. */
export const acceptOf = (key: string): string =>
  createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')

/** Marks a request as the opening of a WebSocket. The gate lets no field of this name through, so no client writes it. */
export const asHandshake = (headers: RawHeaders): RawHeaders => Object.freeze([...headers, 'upgrade', 'websocket'])

/** Whether a request opens a WebSocket. */
export const isHandshake = ({ headers }: Pick<RelayRequest, 'headers'>): boolean =>
  fieldOf(headers, 'upgrade') !== undefined
