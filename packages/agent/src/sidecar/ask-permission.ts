import { fieldsOf } from '@bailiwick/kit'
import { isObject, type JsonObject } from '@bailiwick/mcp'
import { isStream, parsed, wholeOf } from './answers.ts'
import { connectedSidecar } from './connected.ts'

export interface AskedPermission {
  allowed: boolean
  /** Why not, as text for a model. */
  reason: string
}

const protocolVersion = '2025-11-25'
const clientInfo = { name: 'bailiwick-agent-hook', version: '0.1.0' }

/**
 * Calls one tool of a server, at the address of a sidecar that runs elsewhere on this machine, in a session of its own, and says whether the
 * call was allowed and succeeded. Rejects if there was no answer.
 */
export async function askPermission(
  url: string,
  { tool, args }: { tool: string; args: JsonObject },
  signal: AbortSignal,
): Promise<AskedPermission> {
  const sidecar = connectedSidecar(url)
  const ask = async (method: string, params: JsonObject, session?: string) => {
    const headers = [
      ...['content-type', 'application/json', 'accept', 'application/json, text/event-stream'],
      ...['mcp-protocol-version', protocolVersion],
      ...(session === undefined ? [] : ['mcp-session-id', session]),
    ]
    const body = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }))
    const answer = await sidecar.exchange({ method: 'POST', headers, body }, signal)
    const text = (await wholeOf(answer.body)).toString('utf8')
    const texts = isStream(answer) ? [...text.matchAll(/^data: ?(.*)$/gm)].map(([, data = '']) => data) : [text]
    const message = texts.map(parsed).findLast((each) => each?.id === 1 && each.method === undefined) ?? {}
    return { message, session: fieldsOf(answer.headers, 'mcp-session-id')[0] }
  }
  const begun = await ask('initialize', { protocolVersion, capabilities: {}, clientInfo })
  if (!isObject(begun.message.result)) return { allowed: false, reason: reasonOf(begun.message) }
  const { message } = await ask('tools/call', { name: tool, arguments: args }, begun.session)
  const { result } = message
  // Anything but a whole result is no permission: a server can ask back (`input_required`), and a client can answer that to itself.
  const isWhole = isObject(result) && (result.resultType ?? 'complete') === 'complete'
  const allowed = isWhole && result.isError !== true
  return { allowed, reason: allowed ? '' : reasonOf(message) }
}

function reasonOf({ result, error }: JsonObject): string {
  const content: unknown = isObject(result) && Array.isArray(result.content) ? result.content[0] : undefined
  if (isObject(content) && typeof content.text === 'string') return content.text
  return isObject(error) && typeof error.message === 'string' ? error.message : 'It was not allowed.'
}
