import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** One turn of the model: a call of a tool, or its last words. */
export type Turn = { tool: string; namespace?: string; arguments: unknown } | { say: string }

/** What the model was shown with a request: the newest result of a tool, as text. */
export interface Shown {
  output: string
  tools: readonly { name: string; [member: string]: unknown }[]
}

/** Says the model's next turn, when it is shown what the last call gave back. */
export type NextTurn = (shown: Shown) => Turn | Promise<Turn>

/**
 * A model that follows a script, behind the Responses API: as much of it as Codex CLI needs. Each turn may look at what the last call gave
 * back. After a list of turns ends it says `done`.
 */
export async function scriptedModel(script: readonly NextTurn[] | NextTurn) {
  const shown: Shown[] = []
  /** The keys that clients sent with their requests. */
  const keys = new Set<string | undefined>()
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    if (!request.url?.endsWith('/responses')) return response.writeHead(404).end()
    const body = JSON.parse(Buffer.concat(chunks).toString())
    keys.add(request.headers.authorization)
    const outputs = body.input.filter((item: { type: string }) => item.type === 'function_call_output')
    const last = outputs.at(-1)?.output ?? ''
    const now = { output: typeof last === 'string' ? last : JSON.stringify(last), tools: body.tools ?? [] }
    shown.push(now)
    const n = shown.length
    const next = typeof script === 'function' ? script : script[n - 1]
    const turn = (await next?.(now)) ?? { say: 'done' }
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const send = (type: string, data: object) =>
      response.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`)
    const answer = { id: `resp_${n}`, object: 'response', model: 'scripted' }
    send('response.created', { response: { ...answer, status: 'in_progress', output: [] } })
    send('response.output_item.done', { output_index: 0, item: itemOf(turn, n) })
    const usage = { input_tokens: 1, output_tokens: 1, total_tokens: 2 }
    send('response.completed', { response: { ...answer, status: 'completed', output: [itemOf(turn, n)], usage } })
    response.end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/v1`,
    shown,
    keys,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
    },
  }
}

function itemOf(turn: Turn, n: number): object {
  if ('say' in turn)
    return { type: 'message', id: `msg_${n}`, role: 'assistant', content: [{ type: 'output_text', text: turn.say }] }
  const call = { type: 'function_call', id: `fc_${n}`, call_id: `call_${n}`, status: 'completed' }
  const named = { name: turn.tool, ...(turn.namespace === undefined ? {} : { namespace: turn.namespace }) }
  return { ...call, ...named, arguments: JSON.stringify(turn.arguments) }
}
