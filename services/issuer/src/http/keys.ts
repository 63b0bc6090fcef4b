import { compactJwsSchema, entitySchemas } from '@bailiwick/contracts'
import type { HttpServer } from '@bailiwick/host'
import { z } from 'zod'
import type { Issuer } from '../context.ts'
import { keyStandings, moveKey, registerKey } from '../keys/keys.ts'

const preparedSchema = z.strictObject({ value: entitySchemas['service-key'], jws: compactJwsSchema })
const stateSchema = z.strictObject({
  kid: z.string().length(43),
  state: z.enum(['active', 'tainted', 'revoked']),
})

/**
 * The keys of the services, only on the operator's socket: `GET /operator/keys`; `POST /operator/keys`, with the root key's
 * certificate and signature; `POST /operator/keys/state`. The answer to each POST means that the change is durable and counts.
 */
export function keyRoutes(operator: HttpServer, issuer: Issuer): void {
  operator.get('/operator/keys', async () => ({ keys: keyStandings(issuer) }))
  operator.post('/operator/keys', { schema: { body: preparedSchema } }, async ({ body: { value, jws } }) => {
    await registerKey(issuer, value, jws)
    return standingOf(issuer, value.id)
  })
  operator.post('/operator/keys/state', { schema: { body: stateSchema } }, async ({ body: { kid, state } }) => {
    await moveKey(issuer, kid, state)
    return standingOf(issuer, kid)
  })
}

const standingOf = (issuer: Issuer, wanted: string) => keyStandings(issuer).find(({ kid }) => kid === wanted)
