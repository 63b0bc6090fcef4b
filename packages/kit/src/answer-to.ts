import type { ClientRequest, IncomingMessage } from 'node:http'
import { withResolvers } from './with-resolvers.ts'

/**
 * Sends the body, if any, of a request made with `signal`, and resolves with the head of the response. Rejects if there is none, at the
 * latest when `signal` is aborted. After some responses Node emits only `close`: a `101 Switching Protocols` without a listener causes
 * neither a response nor an error, and code waiting for one of the two would hang for ever. The caller must read or destroy the
 * rest of the response.
 */
export function answerTo(
  sent: ClientRequest,
  body: string | Uint8Array,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = withResolvers<IncomingMessage>()
  sent.on('error', reject) // for as long as it lives: an unhandled error would end the process
  sent.once('close', () => reject(new Error('closed')))
  sent.once('response', (answer) => {
    answer.on('error', () => undefined) // the reader of the response gets this error as well
    resolve(answer)
  })
  sent.end(body)
  return unlessAborted(promise, signal)
}

/** Settles as `promise` does, or rejects with the signal's reason once that is aborted. The work behind the promise is not stopped. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = withResolvers<never>()
  const abort = () => reject(signal.reason)
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort, { once: true })
  return Promise.race([promise, aborted]).finally(() => signal.removeEventListener('abort', abort))
}
