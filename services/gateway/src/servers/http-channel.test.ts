import { ServiceError } from '@bailiwick/errors'
import type { Executed, RelayRequest } from '@bailiwick/relay'
import { expect, it } from 'vitest'
import type { ExchangeOptions } from './channel.ts'
import { HttpChannel } from './http-channel.ts'

const sse = ['content-type', 'text/event-stream', 'mcp-session-id', 's']
const event = (value: object, id = '') =>
  `${id === '' ? '' : `id: ${id}\n`}data: ${JSON.stringify({ jsonrpc: '2.0', ...value })}\n\n`
const priming = 'id: e-1\ndata: \n\n'

async function* parts(texts: readonly string[]): AsyncIterableIterator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text)
}
/** A session with an upstream that answers what a test wants. */
function aSession() {
  const sent: RelayRequest[] = []
  const answers: { status?: number; headers?: string[]; texts: string[] }[] = []
  const channel = new HttpChannel('legacy', {
    async send(request) {
      sent.push({ target: '', ...request } as never)
      const { status = 200, headers = sse, texts } = answers.shift() ?? { status: 202, headers: [], texts: [] }
      return { status, headers, body: parts(texts) } as never
    },
  })
  const decided: ExchangeOptions = { isDecided: true, isResumable: true }
  const exchange = (
    request: Pick<RelayRequest, 'method'> & { message?: object },
    options = decided,
    signal = never(),
  ) =>
    channel.exchange(
      {
        method: request.method,
        target: '',
        headers: [],
        body: Buffer.from(request.message === undefined ? '' : JSON.stringify({ jsonrpc: '2.0', ...request.message })),
      },
      signal,
      undefined,
      options,
    )
  /** A call whose stream has these events. */
  const call = (id: number, texts: string[], options = decided, signal = never()) => {
    answers.push({ texts })
    return exchange(
      { method: 'POST', message: { id, method: 'tools/call', params: { name: 'read' } } },
      options,
      signal,
    )
  }
  const resume = (...texts: string[]) => {
    answers.push({ texts })
    return exchange({ method: 'GET' }).then(textOf)
  }
  return { channel, sent, answers, exchange, call, resume }
}
const never = () => new AbortController().signal
async function textOf({ body }: Executed): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
const late = event({ id: 1, result: { of: 'the call' } })

it('passes the response to a call whose stream broke off on the stream that resumes it, once', async () => {
  const at = aSession()
  const broken = await at.call(1, [priming])
  expect(await textOf(broken)).toBe(priming)
  // It is not known yet whether the server acted.
  expect(broken.failed?.()).toBeUndefined()
  expect(await at.resume(late, late)).toBe(late)
})

it('takes a stream that a client cannot resume for broken', async () => {
  const at = aSession()
  await expect(at.call(1, ['data: \n\n']).then(textOf)).rejects.toMatchObject({ code: 'upstream_failed' })
  await expect(at.call(2, [priming], { isDecided: true }).then(textOf)).rejects.toMatchObject({
    code: 'upstream_failed',
  })
  expect(await at.resume(event({ id: 2, result: {} }))).toBe('')
})

it('passes no response under an id that a request had before, whose answer might owe something', async () => {
  const at = aSession()
  await textOf(await at.call(1, [priming]))
  await at.call(1, [priming], { isDecided: true })
  expect(await at.resume(late)).toBe('')
  await textOf(await at.call(1, [late]))
  await at.call(1, [priming])
  expect(await at.resume(late)).toBe('')
})

it('passes no response to a call that was withdrawn (V7)', async () => {
  const at = aSession()
  const life = new AbortController()
  await at.call(1, [priming], undefined, life.signal)
  life.abort(new ServiceError('stream_cut', 'grant_revoked'))
  expect(await at.resume(late)).toBe('')
  const gone = new AbortController()
  await at.call(2, [priming], undefined, gone.signal)
  gone.abort(new ServiceError('outcome_unknown', 'the client has gone'))
  expect(await at.resume(event({ id: 2, result: {} }))).toContain('"id":2')
})

it('passes a request of the server in an answer that a decision allowed, and in no other', async () => {
  const at = aSession()
  at.channel.mayAsk = () => true
  const asks = event({ id: 'e', method: 'elicitation/create', params: {} })
  expect(await textOf(await at.call(1, [asks, late]))).toBe(asks + late)
  expect(await textOf(await at.call(1, [asks, late], {}))).toBe(late)
  await expect.poll(() => at.sent.at(-1)?.body.toString()).toContain('"error"')
})

it('sends an answer of the client, which nothing answers', async () => {
  const at = aSession()
  const answer = await at.exchange({ method: 'POST', message: { id: 'e', result: {} } })
  expect([answer.status, await textOf(answer)]).toEqual([202, ''])
})
