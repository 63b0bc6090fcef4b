/** What was given is never shown in full: a problem document's title, and where ours says more, its detail. */
export class Problem extends Error {
  constructor(status, { title = 'Something went wrong', detail, code } = {}) {
    super(detail ? `${title} (${detail})` : title)
    this.status = status
    this.code = code
  }
}

export async function api(path, body) {
  const response = await fetch(`/console/api${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    credentials: 'same-origin',
    cache: 'no-store',
  })
  const answer = await response.json().catch(() => ({}))
  if (!response.ok) throw new Problem(response.status, answer)
  return answer
}

export function encode(data) {
  const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : new Uint8Array(data)
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')
}

export function decode(text) {
  return Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (char) => char.charCodeAt(0))
}

async function sha256(text) {
  return crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))
}

/**
 * Takes the invitation out of the address (`#invitation=<base64url of a private JWK>`), and the address out of the history.
 * A fragment is never sent to a server; what is kept is a key that can sign here and cannot be read.
 */
export async function takeInvitation() {
  const given = new URLSearchParams(location.hash.slice(1)).get('invitation')
  if (given === null) return undefined
  history.replaceState(null, '', location.pathname)
  const { kty, crv, x, y, d } = JSON.parse(new TextDecoder().decode(decode(given)))
  const jwk = { kty, crv, x, y, d }
  const key = await crypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign'])
  // RFC 7638: the thumbprint is over the required members, in this order.
  return { key, kid: encode(await sha256(JSON.stringify({ crv, kty, x, y }))) }
}

async function signInvitation({ key, kid }, facts) {
  const header = encode(JSON.stringify({ alg: 'ES256', typ: 'bailiwick-invitation+jws', kid }))
  const signed = `${header}.${encode(JSON.stringify(facts))}`
  const bytes = new TextEncoder().encode(signed)
  return `${signed}.${encode(await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, key, bytes))}`
}

/** Makes a passkey and signs with the invitation for exactly that one, as the authenticator made it. */
export async function enrol(invitation, approverId, name) {
  const offered = await api('/enrolment/options', { approver_id: approverId, name })
  const { options } = offered
  const credential = await navigator.credentials.create({
    publicKey: {
      ...options,
      challenge: decode(options.challenge),
      user: { ...options.user, id: decode(options.user.id) },
      excludeCredentials: [],
    },
  })
  const { response } = credential
  const { installation, groups } = offered.invitation
  const facts = {
    installation,
    credential_id: credential.id,
    public_key: encode(coseKeyIn(new Uint8Array(response.getAuthenticatorData()))),
    approver_id: approverId,
    name,
    groups,
  }
  return api('/enrolment', {
    enrolment_id: offered.enrolment_id,
    response: {
      id: credential.id,
      rawId: encode(credential.rawId),
      type: credential.type,
      response: {
        clientDataJSON: encode(response.clientDataJSON),
        attestationObject: encode(response.attestationObject),
      },
    },
    invitation: await signInvitation(invitation, facts),
  })
}

/** WebAuthn Level 3 §6.5.2: behind RP ID hash, flags, counter and AAGUID stand the credential id and then its COSE key. */
function coseKeyIn(data) {
  const start = 55 + ((data[53] << 8) | data[54])
  return data.slice(start, endOfCbor(data, start))
}

/** Where one CBOR item ends (RFC 8949 §3); extensions may stand behind the key. */
function endOfCbor(data, start) {
  const major = data[start] >> 5
  const short = data[start] & 31
  const width = short < 24 ? 0 : 2 ** (short - 24)
  if (width > 4) throw new Error('the authenticator made a key that this page cannot read')
  let value = width === 0 ? short : 0
  for (let n = 1; n <= width; n++) value = value * 256 + data[start + n]
  let at = start + 1 + width
  if (major === 2 || major === 3) return at + value
  const items = major === 4 ? value : major === 5 ? 2 * value : 0
  for (let n = 0; n < items; n++) at = endOfCbor(data, at)
  return at
}

async function getAssertion(publicKey) {
  const { id, rawId, type, response } = await navigator.credentials.get({ publicKey })
  return {
    id,
    rawId: encode(rawId),
    type,
    response: {
      clientDataJSON: encode(response.clientDataJSON),
      authenticatorData: encode(response.authenticatorData),
      signature: encode(response.signature),
    },
  }
}

const named = (credentials = []) => credentials.map(({ id, type }) => ({ type, id: decode(id) }))

export async function signIn(approverId) {
  const { sign_in_id, options } = await api('/session/options', approverId ? { approver_id: approverId } : {})
  const assertion = await getAssertion({
    ...options,
    challenge: decode(options.challenge),
    allowCredentials: named(options.allowCredentials),
  })
  return api('/session', { sign_in_id, assertion })
}

/** RFC 8785 for what statements hold: strings, integers, booleans, lists and objects. */
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.keys(value).sort()
  return `{${members.map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(',')}}`
}

/** Signs a statement: the challenge is made here, of the statement that was shown, and of nothing the server says it is. */
export async function sign(requestId, { statement, statement_hash, rp_id, allow_credentials }) {
  const challenge = await sha256(canonical(statement))
  if (encode(challenge) !== statement_hash) throw new Error('the server named another statement than it showed')
  const assertion = await getAssertion({
    challenge,
    rpId: rp_id,
    allowCredentials: named(allow_credentials),
    userVerification: 'required',
    timeout: 300_000,
  })
  return api(`/requests/${requestId}/approve`, { statement_hash, assertion })
}
