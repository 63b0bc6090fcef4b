import { type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { Duplex } from 'node:stream'
import { withResolvers } from '@bailiwick/kit'

/** The longest answer that does not open a connection. */
const mostBytes = 65_536

/**
 * A `fetch` for one GET that asks for another protocol on its connection. If the server agrees, `opened` gets the connection, and the
 * response is an empty one with status 200. Otherwise the response is the server's own.
 */
export function upgradingFetch(protocol: string, opened: (connection: Duplex) => void): typeof fetch {
  return async (input, init = {}) => {
    const url = new URL(input instanceof Request ? input.url : input)
    const { promise, resolve, reject } = withResolvers<Response>()
    const request = url.protocol === 'https:' ? requestHttps : requestHttp
    const asked = request(url, {
      headers: { ...Object.fromEntries(new Headers(init.headers)), connection: 'Upgrade', upgrade: protocol },
      ...(init.signal ? { signal: init.signal } : {}),
    })
    asked.once('error', reject)
    asked.once('upgrade', (answer, socket, head) => {
      if (head.length > 0) socket.unshift(head)
      opened(socket)
      resolve(new Response(null, { headers: headersOf(answer) }))
    })
    asked.once('response', (answer) => {
      bodyOf(answer).then(
        (body) => resolve(new Response(body, { status: answer.statusCode ?? 500, headers: headersOf(answer) })),
        reject,
      )
    })
    asked.end()
    return promise
  }
}

function headersOf({ rawHeaders }: IncomingMessage): Headers {
  const headers = new Headers()
  for (let n = 0; n < rawHeaders.length; n += 2) headers.append(rawHeaders[n] ?? '', rawHeaders[n + 1] ?? '')
  return headers
}

async function bodyOf(answer: IncomingMessage): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of answer) {
    length += chunk.length
    if (length > mostBytes) throw new RangeError('an answer that is too long')
    chunks.push(chunk)
  }
  return Uint8Array.from(Buffer.concat(chunks))
}
