import { type Era, encodeFieldValue, type JsonObject, modernVersion, namedBy, tasksExtension } from '@bailiwick/mcp'
import type { RawHeaders, RelayRequest } from '@bailiwick/relay'

/** How the gateway names itself to an upstream that it reads. */
const clientInfo = { name: 'bailiwick-gateway', version: '0.1.0' }

/** One of the gateway's own requests, to read a server. It has the form of a client's request, so it is sent in the same way. */
export function ownRequest(era: Era, id: string, method: string, params: JsonObject, target: string): RelayRequest {
  const meta = {
    'io.modelcontextprotocol/protocolVersion': modernVersion,
    'io.modelcontextprotocol/clientInfo': clientInfo,
    'io.modelcontextprotocol/clientCapabilities': method.startsWith('tasks/')
      ? { extensions: { [tasksExtension]: {} } }
      : {},
  }
  const given = era === 'modern' ? { ...params, _meta: meta } : params
  const named = namedBy(method)
  const name = named === undefined ? undefined : params[named]
  const headers: RawHeaders = [
    ...['content-type', 'application/json', 'accept', 'application/json, text/event-stream'],
    ...(era === 'modern' ? ['mcp-protocol-version', modernVersion, 'mcp-method', method] : []),
    ...(era === 'modern' && typeof name === 'string' ? ['mcp-name', encodeFieldValue(name)] : []),
  ]
  return {
    method: 'POST',
    target,
    headers,
    body: Buffer.from(JSON.stringify({ jsonrpc: '2.0', id, method, params: given })),
  }
}

/** `initialize` and what follows it, for a legacy server that the gateway reads without a client. */
export const ownInitialize: JsonObject = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo }
