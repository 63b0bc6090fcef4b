import type { ClientRequest, IncomingMessage } from 'node:http'

/**
 * Sends what a request made with `signal` has for a body, and gives the head of the answer; rejects where there is none, and
 * once `signal` is aborted at the latest. After some answers Node says only `close`: a `101 Switching Protocols` that nobody
 * listens for comes with neither an answer nor an error, and would hold whoever waited for one of the two for ever. What follows
 * the head is the caller's to read or to destroy.
 */
export function answerTo(
  sent: ClientRequest,
  body: string | Uint8Array,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  sent.on('error', reject) // for as long as it lives: an error that nobody hears would end the process
  sent.once('close', () => reject(new Error('closed')))
  sent.once('response', (answer) => {
    answer.on('error', () => undefined) // whoever reads it hears of it as well
    resolve(answer)
  })
  sent.end(body)
  return unlessAborted(promise, signal)
}

/** Settles as `promise` does, or rejects with the signal's reason once that is aborted. The work behind it is not stopped. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const abort = () => reject(signal.reason)
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort, { once: true })
  return Promise.race([promise, aborted]).finally(() => signal.removeEventListener('abort', abort))
}
