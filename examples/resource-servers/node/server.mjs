import { createServer } from 'node:http'
import { parseArgs } from 'node:util'
import { allows, openAccess, Refused } from './bailiwick-access.mjs'
import { decisionPoint } from './decision-point.mjs'

// A resource server: GET /invoices/<id>, for an agent that shows a Bailiwick credential to read invoices, and its proof.
// With --decision-point it asks that about each call; else it judges by the credential alone.
//   node server.mjs --issuer URL --base-url URL [--decision-point URL --secret-file FILE]

const text = { type: 'string' }
const options = { issuer: text, 'base-url': text, 'decision-point': text, 'secret-file': text }
const { issuer, 'base-url': baseUrl, 'decision-point': address, 'secret-file': secret } = parseArgs({ options }).values
if (issuer === undefined || baseUrl === undefined) throw new Error('--issuer and --base-url are needed')
if ((address === undefined) !== (secret === undefined)) throw new Error('--decision-point needs --secret-file')
const access = await openAccess({ issuer, baseUrl })
const decide = address === undefined ? undefined : decisionPoint(address, secret)
const invoices = { type: 'tool', id: 'invoices/read' }

/** Why this call is denied; undefined: it is not. */
async function denial(claims, token, proof, path) {
  if (decide === undefined) return allows(claims, 'tools/call', invoices) ? undefined : 'action_not_granted'
  const observed = { credential: token, proof, htm: 'GET', htu: baseUrl + path }
  const { allowed, reason, nonce } = await decide(claims.client_id, 'tools/call', invoices, observed)
  if (nonce !== undefined) {
    access.adopt(nonce)
    throw new Refused('use_dpop_nonce', 'the decision point needs the nonce of this answer')
  }
  return allowed ? undefined : reason
}

const server = createServer(async ({ method, url, rawHeaders, headers }, response) => {
  const answer = (status, body, more = {}) =>
    response
      .writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', ...more })
      .end(JSON.stringify(body))
  const path = url.split('?')[0]
  if (method !== 'GET' || !path.startsWith('/')) return answer(405, { error: 'method_not_allowed' }, { allow: 'GET' })
  try {
    const claims = await access.claims({ method, path, rawHeaders })
    if (!path.startsWith('/invoices/')) return answer(404, { error: 'not_found' })
    const denied = await denial(claims, headers.authorization.split(' ')[1], headers.dpop, path)
    if (denied !== undefined) return answer(403, { error: denied })
    return answer(200, { invoice: path.slice('/invoices/'.length), agent: claims.client_id })
  } catch (refused) {
    if (!(refused instanceof Refused)) return answer(500, { error: 'internal' })
    const { error } = refused
    const challenge = `DPoP ${error === undefined ? '' : `error="${error}", `}algs="ES256 EdDSA Ed25519"`
    return answer(401, { error: error ?? null }, { 'www-authenticate': challenge, 'dpop-nonce': access.nonce() })
  }
})
server.listen(Number(new URL(baseUrl).port), 'localhost', () => process.stderr.write('ready\n'))
