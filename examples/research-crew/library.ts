// What the crew searches: an API that answers only calls that an approved task allows. Each costs what its arguments say.
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { bailiwickPep, fileOutcomeStore, openEnforcementPoint, parseTrust, readKeyFile } from '@bailiwick/pep'
import fastify from 'fastify'
import { CREW, LIBRARY, price, resource } from './crew.ts'

const trust = parseTrust(readFileSync(process.env.BAILIWICK_TRUST ?? ''))
const point = await openEnforcementPoint({
  id: 'library',
  trust,
  callerKey: readKeyFile(`${CREW}/keys`, 'library-caller', 'pep-caller'),
  outcomeKey: readKeyFile(`${CREW}/keys`, 'library-outcome', 'outcome'),
  pdpUrl: trust.public_url,
  store: fileOutcomeStore(`${CREW}/outcomes.json`),
  now: () => Date.now(),
  random: (length) => randomBytes(length),
  onProblem: console.error,
})

const app = fastify()
const guarded = bailiwickPep(app, {
  point,
  baseUrl: LIBRARY,
  toAction: ({ body }) => ({ name: 'tools/call', resource, properties: body as Record<string, unknown> }),
})
let served = 0
app.post(
  '/search',
  guarded(async ({ action: { properties } }) => {
    // The library takes its own price, and no other that a caller names.
    if (properties.amount !== price.amount || properties.currency !== price.currency) throw new Error('another price')
    await sleep(100)
    served++
    return { found: `${properties.topic}, page ${properties.page}` }
  }),
)
app.get('/served', async () => ({ served }))
await app.listen({ port: Number(new URL(LIBRARY).port) })
