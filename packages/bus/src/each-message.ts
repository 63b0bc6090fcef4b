import type { Handled, Message } from './bus.ts'

/**
 * Turns a handler of one message into a handler of batches for `consume`. It stops at the first `again`, because the messages behind it
 * are delivered again anyway. If the first message fails, the error is rethrown, so that the bus backs off. If a later one fails,
 * the earlier answers are kept, and the bus delivers the rest again, beginning with the failed message.
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
