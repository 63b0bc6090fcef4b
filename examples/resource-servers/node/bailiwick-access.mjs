import { randomBytes } from 'node:crypto'
import * as oauth from 'oauth4webapi'

// Who calls, and what they may do: a DPoP-bound access token of Bailiwick's issuer (RFC 9068, RFC 9396) and the proof beside it.
// oauth4webapi validates both; what it leaves to its caller is here: replay, nonce, a closer time, one spelling, no foreign header.

const leewaySeconds = 5
const proofLifeSeconds = 60
const mostProofs = 100_000

/** `error` is what the challenge says (RFC 9449 §7.1); undefined: nothing was shown, so there is nothing to say of it. */
export class Refused extends Error {
  constructor(error, why, cause) {
    super(why, { cause })
    this.error = error
  }
}

export async function openAccess({ issuer, baseUrl }) {
  const options = issuer.startsWith('http://localhost') ? { [oauth.allowInsecureRequests]: true } : {}
  const found = await oauth.discoveryRequest(new URL(issuer), { algorithm: 'oauth2', ...options })
  const server = await oauth.processDiscoveryResponse(new URL(issuer), found)
  const seen = new Map()
  // New at each start: a proof made before the start is invalid. So a restart may lose the memory of used proofs.
  let nonce = randomBytes(16).toString('base64url')

  /** The token's claims, once everything holds. `rawHeaders` as node:http has them: no field that came twice is merged away. */
  async function claims({ method, path, rawHeaders }) {
    const fields = (name) => rawHeaders.filter((_, n) => n % 2 === 1 && rawHeaders[n - 1].toLowerCase() === name)
    const [authorization, ...others] = fields('authorization')
    const [proof, ...otherProofs] = fields('dpop')
    if (authorization === undefined && proof === undefined) throw new Refused(undefined, 'no credential')
    if (authorization === undefined || proof === undefined || others.length > 0 || otherProofs.length > 0)
      throw new Refused('invalid_token', 'one Authorization and one DPoP header are needed')
    const [scheme, token = ''] = authorization.split(' ')
    if (scheme.toLowerCase() !== 'dpop') throw new Refused('invalid_token', 'a bound token needs the DPoP scheme')
    const { alg, kid, typ, ...more } = headerOf(token) ?? {}
    if (alg !== 'ES256' || kid === undefined || typ !== 'at+jwt' || Object.keys(more).length > 0)
      throw new Refused('invalid_token', "the token's header")
    const ofProof = Object.keys(headerOf(proof) ?? { none: true })
    if (!ofProof.every((name) => ['alg', 'jwk', 'typ', 'kid'].includes(name)))
      throw new Refused('invalid_dpop_proof', "the proof's header")
    // The address is the configured one: a Host header is the caller's to write.
    const request = new Request(baseUrl + path, { method, headers: { authorization, dpop: proof } })
    const verified = await oauth
      .validateJwtAccessToken(server, request, baseUrl, {
        ...options,
        requireDPoP: true,
        signingAlgorithms: ['ES256', 'EdDSA', 'Ed25519'],
        [oauth.clockTolerance]: leewaySeconds,
      })
      .catch((cause) => {
        const blamed = /DPoP|confirmation|jwk/i.test(cause.message) ? 'invalid_dpop_proof' : 'invalid_token'
        throw new Refused(blamed, 'token or proof does not hold', cause)
      })
    judge(JSON.parse(Buffer.from(proof.split('.')[1], 'base64url').toString()), verified.cnf.jkt)
    return verified
  }

  /** What a proof that verified says of its time, its nonce and itself. */
  function judge({ iat, jti, nonce: given }, jkt) {
    const age = Date.now() / 1000 - iat
    if (!(age >= -leewaySeconds && age <= proofLifeSeconds + leewaySeconds) || jti.length > 256)
      throw new Refused('invalid_dpop_proof', 'the proof is of another time')
    if (given !== nonce) throw new Refused('use_dpop_nonce', 'the proof needs the nonce of this answer')
    const now = performance.now()
    if (seen.size >= mostProofs) for (const [name, until] of seen) if (until <= now) seen.delete(name)
    // By key and jti, never by its text, which can be spelled anew. A full memory refuses.
    const name = `${jkt} ${jti}`
    if ((seen.get(name) ?? 0) > now || seen.size >= mostProofs)
      throw new Refused('invalid_dpop_proof', 'the proof was used before')
    seen.set(name, now + (proofLifeSeconds + 2 * leewaySeconds) * 1000)
  }

  return {
    claims,
    nonce: () => nonce,
    /**
     * The decision point behind this server requires this nonce, and a proof has room for one: from now on it is ours too.
     * That takes nothing away from us: a proof with it that a memory of ours has lost, the decision point has counted.
     */
    adopt(its) {
      nonce = its
    },
  }
}

/** Whether a permission is for this. One that says more (`where`, uses, a price) is not ours to judge: the decision point counts. */
export function allows({ authorization_details: details }, action, resource) {
  const plain = ({ actions, resource: of, ...more }) =>
    actions.length === 1 &&
    actions[0] === action &&
    Object.keys(of).length === 2 &&
    of.type === resource.type &&
    of.id === resource.id &&
    Object.keys(more).length === 0
  return details.some(({ permissions = [] }) => permissions.some(plain))
}

/** The header of a JWS whose three segments are base64url in their one spelling, else undefined. */
function headerOf(compact) {
  const segments = compact.split('.')
  const canonical = (text) => Buffer.from(text, 'base64url').toString('base64url') === text
  if (segments.length !== 3 || !segments.every(canonical)) return undefined
  try {
    return JSON.parse(Buffer.from(segments[0], 'base64url').toString())
  } catch {
    return undefined
  }
}
