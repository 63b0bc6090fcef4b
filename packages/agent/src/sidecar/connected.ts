import { type McpRequest, readEvents } from '@bailiwick/mcp'
import { type ClientAnswer, isStream, longestMessage, wholeOf } from './answers.ts'
import { forwardedFields } from './fields.ts'
import type { ServedSidecar } from './stdio.ts'

/**
 * A sidecar that runs elsewhere on this machine, by its address. It has no key and no grant: what it may do, the address may.
 * `serveStdio` makes a server on standard input of it.
 */
export function connectedSidecar(url: string): ServedSidecar {
  return {
    onToolsChanged: undefined,
    describedTool: () => undefined,
    exchange: (request, signal) => answered(url, request, signal),
  }
}

async function answered(
  url: string,
  { method, headers: raw, body }: McpRequest,
  signal: AbortSignal,
): Promise<ClientAnswer> {
  const headers = forwardedFields(raw)
  for (let n = 0; n < raw.length; n += 2)
    if (raw[n]?.toLowerCase() === 'mcp-session-id') headers.set('mcp-session-id', raw[n + 1] ?? '')
  const response = await fetch(url, {
    ...{ method, headers, signal, redirect: 'error' },
    ...(body.length === 0 ? {} : { body: Uint8Array.from(body) }),
  })
  const answer = {
    status: response.status,
    headers: [...response.headers].flat(),
    body: response.body ?? Buffer.alloc(0),
  }
  return isStream(answer) ? { ...answer, body: eventsOf(answer.body) } : { ...answer, body: await wholeOf(answer.body) }
}

async function* eventsOf(body: ClientAnswer['body']): AsyncGenerator<Uint8Array> {
  if (body instanceof Uint8Array) return yield body
  for await (const { raw } of readEvents(body, longestMessage)) yield raw
}
