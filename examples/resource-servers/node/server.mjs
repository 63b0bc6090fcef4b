import { createServer } from 'node:http'
import { parseArgs } from 'node:util'
import { allows, openAccess, Refused } from './bailiwick-access.mjs'

// A resource server: GET /invoices/<id>, for an agent that shows a Bailiwick credential to read invoices, and its proof.
//   node server.mjs --issuer URL --base-url URL

const { values } = parseArgs({ options: { issuer: { type: 'string' }, 'base-url': { type: 'string' } } })
const { issuer, 'base-url': baseUrl } = values
if (issuer === undefined || baseUrl === undefined) throw new Error('--issuer and --base-url are needed')
const access = await openAccess({ issuer, baseUrl })

const server = createServer(async ({ method, url, rawHeaders }, response) => {
  const answer = (status, body, headers = {}) =>
    response
      .writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers })
      .end(JSON.stringify(body))
  const path = url.split('?')[0]
  if (method !== 'GET' || !path.startsWith('/')) return answer(405, { error: 'method_not_allowed' }, { allow: 'GET' })
  try {
    const claims = await access.claims({ method, path, rawHeaders })
    if (!path.startsWith('/invoices/')) return answer(404, { error: 'not_found' })
    if (!allows(claims, 'tools/call', { type: 'tool', id: 'invoices/read' }))
      return answer(403, { error: 'action_not_granted' })
    return answer(200, { invoice: path.slice('/invoices/'.length), agent: claims.client_id })
  } catch (refused) {
    if (!(refused instanceof Refused)) return answer(500, { error: 'internal' })
    const { error } = refused
    const challenge = `DPoP ${error === undefined ? '' : `error="${error}", `}algs="ES256 EdDSA Ed25519"`
    return answer(401, { error: error ?? null }, { 'www-authenticate': challenge, 'dpop-nonce': access.nonce })
  }
})
server.listen(Number(new URL(baseUrl).port), 'localhost', () => process.stderr.write('ready\n'))
