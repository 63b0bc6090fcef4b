import type { Message } from '@bailiwick/mcp'
import type { Executed, RelayRequest } from '@bailiwick/relay'
import { type Channel, whole } from '../servers/channel.ts'

/** How long a server may take to say that it has a notification, in ms. */
const headMs = 10_000

/** Whether a message only ends or answers something. It then does not count in the agent's share. */
export const endsSomething = (message: Message): boolean =>
  message.kind === 'response' || (message.kind === 'notification' && message.method === 'notifications/cancelled')

/** Passes a notification on. There is nothing to answer, so what the server answers is given up: it could go on without end. */
export async function notify(channel: Channel, request: RelayRequest, signal: AbortSignal): Promise<Executed> {
  const { status, body } = await channel.exchange(request, AbortSignal.any([signal, AbortSignal.timeout(headMs)]))
  await body[Symbol.asyncIterator]().return?.()
  return { status: status < 300 ? 202 : status, headers: [], body: whole(new Uint8Array()) }
}
