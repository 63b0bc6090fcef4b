import type { Handled, Message } from './bus.ts'

/**
 * Turns a handler of one message into a handler of batches for `consume`. It stops at the first `again`: what lies behind
 * would be delivered again anyway. An error of the first message is thrown on, so that the bus backs off; an error further
 * back keeps what was handled before it, and the bus delivers the rest again, its culprit first.
 */
export function eachMessage(
  handle: (message: Message) => Promise<Handled>,
): (batch: readonly Message[]) => Promise<readonly Handled[]> {
  return async (batch) => {
    const answers: Handled[] = []
    for (const message of batch) {
      let answer: Handled
      try {
        answer = await handle(message)
      } catch (error) {
        if (answers.length === 0) throw error
        answer = { again: 0 }
      }
      answers.push(answer)
      if (typeof answer === 'object') {
        const rest = answer
        return [...answers, ...batch.slice(answers.length).map(() => rest)]
      }
    }
    return answers
  }
}
