import { createRequire } from 'node:module'
import type { Mechanism } from 'kafkajs'
import { failureOf } from './failure.ts'

interface Login {
  username: string
  password: string
}

const require = createRequire(import.meta.url)

/**
 * kafkajs's SCRAM-SHA-512, but reporting the actual error. By itself kafkajs reports every error during a login, even a lost connection, as
 * a failed authentication that must not be retried. A client that logs in while a broker dies would think that it is locked out, and give
 * up.
 */
export function scram(login: Login): Mechanism {
  const builtIn: (
    login: Login,
  ) => Mechanism['authenticationProvider'] = require('kafkajs/src/broker/saslAuthenticator/scram512')
  return {
    mechanism: 'scram-sha-512',
    authenticationProvider(attempt) {
      let cause: unknown
      const { authenticate } = builtIn(login)({
        ...attempt,
        saslAuthenticate: (exchange) =>
          attempt.saslAuthenticate(exchange).catch((error: unknown) => {
            cause = error
            throw error
          }),
      })
      return {
        authenticate: () =>
          authenticate().catch((error: unknown) => {
            // Without a cause, the broker's own proof was wrong.
            throw cause === undefined || failureOf(cause) === 'forbidden' ? error : cause
          }),
      }
    },
  }
}
