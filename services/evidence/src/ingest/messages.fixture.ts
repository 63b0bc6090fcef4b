import type { Bus, Message } from '@bailiwick/bus'

/** A bus whose topics have these messages and get no more. */
export const having = (messages: readonly Message[]): Pick<Bus, 'follow'> => ({
  follow: async (_topics, _since, handler) => ({
    caughtUp: handler(messages),
    failed: new Promise<never>(() => undefined),
    [Symbol.asyncDispose]: async () => undefined,
  }),
})

export const aMessage = (offset: number, bytes: string, more: Partial<Message> = {}): Message => ({
  ...{ topic: 'decisions.v1', partition: 0, offset, key: 'k', timestamp: 0 },
  bytes: Buffer.from(bytes),
  ...more,
})
