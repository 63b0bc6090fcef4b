import { type Bus, eachMessage, type Handled, type Message, type Subscription } from '@bailiwick/bus'
import { accessRequestsV1, type DecodedEvent, decodeEvent } from '@bailiwick/contracts'
import { type ErrorCode, errorCode, errorKinds } from '@bailiwick/errors'
import type { Approval } from './context.ts'
import { receiveRequest } from './receive-request.ts'

const topic = accessRequestsV1.name
const retryMs = 500

/**
 * Takes agents' asks from the topic, where anybody may write: what no agent signed, or nobody may ask, is refused and
 * counted, changes nothing and holds nothing up. Only what is ours to heal is taken again.
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

/** Not the sender's doing. A flood is: asking again is then the sender's, too, since a topic cannot wait for one agent. */
function isOurs(code: ErrorCode): boolean {
  return errorKinds[code].status === 503
}
