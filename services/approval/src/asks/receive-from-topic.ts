import { type Bus, eachMessage, type Handled, type Message, type Subscription } from '@bailiwick/bus'
import { accessRequestsV1, type DecodedEvent, decodeEvent } from '@bailiwick/contracts'
import { type ErrorCode, errorCode, errorKinds } from '@bailiwick/errors'
import type { Approval } from '../context.ts'
import { receiveRequest } from './receive-request.ts'

const topic = accessRequestsV1.name
const retryMs = 500

/**
 * Takes agents' asks from the topic, to which anybody may write. An ask that no agent signed, or that may not be made, is refused and
 * counted; it changes nothing and delays nothing. A message is retried only if the fault is ours.
 */
export function receiveFromTopic(approval: Approval, bus: Bus, count: (result: string) => void): Promise<Subscription> {
  const handle = async (message: Message): Promise<Handled> => {
    const decoded = decodeEvent(accessRequestsV1, message.bytes)
    if (!decoded.ok) return refuse(decoded.code)
    const { data } = decoded.event as DecodedEvent<typeof topic>
    try {
      await receiveRequest(approval, { ...data, receivedBy: 'topic' })
      count('received')
      return 'done'
    } catch (error) {
      const code = errorCode(error)
      return isOurs(code) ? { again: retryMs } : refuse(code)
    }
  }
  const refuse = (code: ErrorCode): Handled => {
    count('refused')
    const level = errorKinds[code].status === 500 ? 'error' : 'info'
    approval.logger[level]({ error_code: code }, 'an access request on the topic was refused')
    return 'refused'
  }
  return bus.consume([topic], 'approval', eachMessage(handle))
}

/** Whether the fault is not the sender's. A flood is the sender's: the sender must ask again, since a topic cannot wait for one agent. */
function isOurs(code: ErrorCode): boolean {
  return errorKinds[code].status === 503
}
