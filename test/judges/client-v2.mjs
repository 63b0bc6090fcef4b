// A client of the newer SDK: negotiates the revision, lists and calls, and says what it got.
// Usage: client-v2.mjs URL TOOL [ARGUMENTS]. With TOKEN and KEY (a private JWK) it authenticates by itself, with DPoP.
import { Client, DpopSession, StreamableHTTPClientTransport, withDpop } from '@modelcontextprotocol/client'

const [url = '', tool = '', given = '{}'] = process.argv.slice(2)
const client = new Client(
  { name: 'judge-v2', version: '1.0.0' },
  { capabilities: {}, versionNegotiation: { mode: 'auto' } },
)
await client.connect(new StreamableHTTPClientTransport(new URL(url), await authentication()))
const { tools } = await client.listTools()
const answer = await client
  .callTool({ name: tool, arguments: JSON.parse(given) })
  .catch(({ code, data, message }) => ({ error: { code, data, message } }))
const version = client.getNegotiatedProtocolVersion()
console.log(JSON.stringify({ version, tools: tools.map(({ name }) => name), answer }))
await client.close()

/** The agent's credential and key: the SDK makes the proofs, without the signature over the action that ours add. */
async function authentication() {
  const { TOKEN, KEY } = process.env
  if (!TOKEN) return {}
  const jwk = JSON.parse(KEY)
  const { d: _, ...publicJwk } = jwk
  const curve = { name: 'ECDSA', namedCurve: 'P-256' }
  const keyPair = {
    alg: 'ES256',
    publicJwk,
    privateKey: await crypto.subtle.importKey('jwk', jwk, curve, false, ['sign']),
    publicKey: await crypto.subtle.importKey('jwk', publicJwk, curve, true, ['verify']),
    thumbprint: '',
  }
  const session = await DpopSession.create({ alg: 'ES256', keyPair })
  return { fetch: withDpop(session, () => TOKEN)(fetch) }
}
