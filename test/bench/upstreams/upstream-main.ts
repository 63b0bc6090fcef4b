import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Reached } from './place.ts'

/*
 * An API and a provider of models in one: it does the least that an answer needs, so that its own time hardly shows, and counts what reaches
 * it: `GET /counts`. It runs until it is killed.
 */

const item = { id: '1', name: 'An item', amount: '250.00', currency: 'EUR' }
const message = { role: 'assistant', content: 'The invoice is over 250.00 EUR.' }
const completion = {
  ...{ id: 'chatcmpl-1', object: 'chat.completion', created: 1_700_000_000, model: 'small' },
  choices: [{ index: 0, message, finish_reason: 'stop' }],
  usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
}
const reached: Reached = { items: 0, completions: 0 }

const server = createServer((request, response) => {
  if (request.url === '/counts') return sendJson(response, reached)
  if (request.method === 'POST') return void read(request).then(() => complete(response))
  if (request.url === '/v1/items/1') reached.items++
  return sendJson(response, item)
})
server.keepAliveTimeout = 60_000
server.listen(Number(process.env.BAILIWICK_PORT), '127.0.0.1', 4096)

async function read(request: IncomingMessage): Promise<void> {
  for await (const _ of request);
}

function complete(response: ServerResponse): void {
  reached.completions++
  sendJson(response, completion)
}

function sendJson(response: ServerResponse, value: object): void {
  const body = JSON.stringify(value)
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }).end(body)
}
