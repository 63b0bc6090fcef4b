import { type AnswerOf, issuerRoutes, type KeyStanding } from '@bailiwick/contracts/api'
import { ServiceError } from '@bailiwick/errors'
import type { HttpServer } from '@bailiwick/host'
import type { Issuer } from '../context.ts'
import { keyStandings, moveKey, registerKey } from '../keys/keys.ts'

const { listKeys, registerKey: register, moveKey: move } = issuerRoutes

/**
 * The keys of the services, only on the operator's socket: `GET /operator/keys`; `POST /operator/keys`, with the root key's
 * certificate and signature; `POST /operator/keys/state`. The answer to each POST means that the change is durable and counts.
 */
export function keyRoutes(operator: HttpServer, issuer: Issuer): void {
  operator.get(listKeys.path, async (): Promise<AnswerOf<typeof listKeys>> => ({ keys: keyStandings(issuer) }))
  operator.post(register.path, { schema: { body: register.body } }, async ({ body: { value, jws } }) => {
    await registerKey(issuer, value, jws)
    return standingOf(issuer, value.id)
  })
  operator.post(move.path, { schema: { body: move.body } }, async ({ body: { kid, state } }) => {
    await moveKey(issuer, kid, state)
    return standingOf(issuer, kid)
  })
}

function standingOf(issuer: Issuer, wanted: string): KeyStanding {
  const standing = keyStandings(issuer).find(({ kid }) => kid === wanted)
  if (standing === undefined) throw new ServiceError('entity_unknown', 'there is no key of this name')
  return standing
}
