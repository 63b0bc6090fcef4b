import { api } from './api.ts'
import type {
  ApproveAnswer,
  BeginEnrolmentAnswer,
  BeginPasskeyAnswer,
  BeginSignInAnswer,
  CreationOptions,
  EntityDiff,
  ManifestChange,
  Rendered,
} from './types.ts'
import { askPasskey } from './ui/passkey-prompt.ts'

/** A key that can sign in this page and cannot be exported. */
interface WordKey {
  key: CryptoKey
  kid: string
}

/**
 * The proof on which a person enrols: the installation's invitation, a colleague's invitation, or the root key's
 * recovery after all passkeys were lost.
 */
export type Invitation =
  | ({ kind: 'invitation' } & WordKey)
  | { kind: 'invite'; code: string }
  | ({ kind: 'recovery'; id: string } & WordKey)

export function encode(data: ArrayBuffer | Uint8Array | string): string {
  const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : new Uint8Array(data)
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')
}

export function decode(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (char) => char.charCodeAt(0))
}

const sha256 = (text: string) => crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))

/** The kind of proof in the address, if there is one. */
export function wordInAddress(): Invitation['kind'] | undefined {
  const fragment = new URLSearchParams(location.hash.slice(1))
  return (['invitation', 'invite', 'recovery'] as const).find((name) => fragment.has(name))
}

/**
 * Takes the proof out of the address (`#invitation=` and `#recovery=`: a private JWK; `#invite=`: a code), and the
 * address out of the history. A fragment is never sent to a server.
 */
export async function takeInvitation(): Promise<Invitation | undefined> {
  const kind = wordInAddress()
  if (kind === undefined) return undefined
  const given = new URLSearchParams(location.hash.slice(1)).get(kind) ?? ''
  history.replaceState(null, '', location.pathname)
  if (kind === 'invite') return { kind, code: given }
  const { id, ...jwk } = JSON.parse(new TextDecoder().decode(decode(given)))
  const word = await importKey(jwk)
  return kind === 'recovery' ? { kind, id: String(id), ...word } : { kind, ...word }
}

async function importKey({ kty, crv, x, y, d }: JsonWebKey): Promise<WordKey> {
  const jwk = { kty, crv, x, y, d } as JsonWebKey
  const key = await crypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign'])
  // RFC 7638: the thumbprint is over the required members, in this order.
  return { key, kid: encode(await sha256(JSON.stringify({ crv, kty, x, y }))) }
}

async function signInvitation({ key, kid }: WordKey, facts: object): Promise<string> {
  const header = encode(JSON.stringify({ alg: 'ES256', typ: 'bailiwick-invitation+jws', kid }))
  const signed = `${header}.${encode(JSON.stringify(facts))}`
  const bytes = new TextEncoder().encode(signed)
  return `${signed}.${encode(await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, key, bytes))}`
}

/** Makes a passkey. Returns it as the browser has it, and as it is sent. */
async function create(options: CreationOptions) {
  const publicKey = {
    ...options,
    challenge: decode(options.challenge),
    user: { ...options.user, id: decode(options.user.id) },
    excludeCredentials: named(options.excludeCredentials),
  }
  const made = await askPasskey((signal) => navigator.credentials.create({ publicKey, signal }))
  const credential = made as PublicKeyCredential
  const response = credential.response as AuthenticatorAttestationResponse
  const sent = {
    id: credential.id,
    rawId: encode(credential.rawId),
    type: credential.type,
    response: {
      clientDataJSON: encode(response.clientDataJSON),
      attestationObject: encode(response.attestationObject),
    },
  }
  return { id: credential.id, authenticatorData: new Uint8Array(response.getAuthenticatorData()), sent }
}

/** An offer on the word of a key, and one on a colleague's word. */
type SignedOffer = BeginEnrolmentAnswer & Required<Pick<BeginEnrolmentAnswer, 'invitation'>>
export type InvitedOffer = BeginEnrolmentAnswer & Required<Pick<BeginEnrolmentAnswer, 'invited'>>

/** Makes a passkey and signs, with the proof's key, for exactly that passkey, as the authenticator made it. */
async function enrolBySignature(word: WordKey, offered: SignedOffer, more: object): Promise<void> {
  const { id, authenticatorData, sent } = await create(offered.options)
  const facts = { ...offered.invitation, credential_id: id, public_key: encode(coseKeyIn(authenticatorData)) }
  const invitation = await signInvitation(word, facts)
  await api('/enrolment', { enrolment_id: offered.enrolment_id, response: sent, invitation, ...more })
}

export async function enrolFirst(word: WordKey, approverId: string, name: string): Promise<void> {
  await enrolBySignature(word, await api('/enrolment/options', { approver_id: approverId, name }), {})
}

export async function enrolRecovered(word: WordKey & { id: string }): Promise<void> {
  const { id: recovery } = word
  await enrolBySignature(word, await api('/enrolment/options', { recovery }), { recovery })
}

/** Makes a passkey for a person whom a colleague invited; it counts once people approved it. */
export async function enrolInvited({ enrolment_id, options }: InvitedOffer, code: string): Promise<void> {
  const { sent } = await create(options)
  await api('/enrolment', { enrolment_id, response: sent, code })
}

/** Makes one more passkey for the signed-in person. Returns the change that people approve. */
export async function addPasskey(): Promise<{ request_id: string | null }> {
  const { enrolment_id, options } = await api<BeginPasskeyAnswer>('/passkeys/options', {})
  const { sent } = await create(options)
  return api('/passkeys', { enrolment_id, response: sent })
}

/** WebAuthn Level 3 §6.5.2: after RP ID hash, flags, counter and AAGUID come the credential id and then its COSE key. */
function coseKeyIn(data: Uint8Array): Uint8Array {
  const start = 55 + (((data[53] ?? 0) << 8) | (data[54] ?? 0))
  return data.slice(start, endOfCbor(data, start))
}

/** The offset at which one CBOR item ends (RFC 8949 §3); extensions may follow the key. */
function endOfCbor(data: Uint8Array, start: number): number {
  const first = data[start] ?? 0
  const major = first >> 5
  const short = first & 31
  const width = short < 24 ? 0 : 2 ** (short - 24)
  if (width > 4) throw new Error('the authenticator made a key that this page cannot read')
  let value = width === 0 ? short : 0
  for (let n = 1; n <= width; n++) value = value * 256 + (data[start + n] ?? 0)
  let at = start + 1 + width
  if (major === 2 || major === 3) return at + value
  const items = major === 4 ? value : major === 5 ? 2 * value : 0
  for (let n = 0; n < items; n++) at = endOfCbor(data, at)
  return at
}

async function getAssertion(publicKey: PublicKeyCredentialRequestOptions) {
  const given = await askPasskey((signal) => navigator.credentials.get({ publicKey, signal }))
  const { id, rawId, type, response } = given as PublicKeyCredential
  const { clientDataJSON, authenticatorData, signature } = response as AuthenticatorAssertionResponse
  return {
    id,
    rawId: encode(rawId),
    type,
    response: {
      clientDataJSON: encode(clientDataJSON),
      authenticatorData: encode(authenticatorData),
      signature: encode(signature),
    },
  }
}

const named = (credentials: { id: string; type: string }[] = []) =>
  credentials.map(({ id }) => ({ type: 'public-key' as const, id: decode(id) }))

export async function signIn(approverId: string): Promise<void> {
  const { sign_in_id, options } = await api<BeginSignInAnswer>(
    '/session/options',
    approverId ? { approver_id: approverId } : {},
  )
  const assertion = await getAssertion({
    ...options,
    challenge: decode(options.challenge),
    allowCredentials: named(options.allowCredentials),
  })
  await api('/session', { sign_in_id, assertion })
}

/** base64url SHA-256 of a text, as digests are spelt. */
export const hashed = async (text: string) => encode(await sha256(text))

/** RFC 8785 for JSON values. The caller must refuse `undefined` members and lone surrogates. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.keys(value).sort()
  return `{${members.map((key) => `${JSON.stringify(key)}:${canonical((value as Record<string, unknown>)[key])}`).join(',')}}`
}

/**
 * Whether the entities that were shown, before and after the change, are those that the statement commits to, and
 * whether the policies and descriptions shown match their hashes.
 */
export async function showsWhatIsSigned(diff: EntityDiff[], entities: unknown): Promise<boolean> {
  const signed = entities as { type: string; id: string; before?: string; after?: string }[]
  if (signed.length !== diff.length) return false
  const shown = await Promise.all(
    diff.map(async ({ type, id, before, after, text, manifest }, n) => {
      const hashes = await Promise.all([before, after].map(hashOf))
      const named = [signed[n]?.before, signed[n]?.after]
      if (type !== signed[n]?.type || id !== signed[n]?.id || hashes.some((hash, m) => hash !== named[m])) return false
      // Of what was before, the text may be gone: then all of what comes is shown as new.
      const isOld = text?.before ? await says(text.before, before) : true
      if (manifest !== undefined && !(await describes(manifest, before, after))) return false
      return isOld && (type !== 'policy-set' || after === null || (await says(text?.after ?? {}, after)))
    }),
  )
  return shown.every(Boolean)
}

/** Whether the shown texts are what the server's entry names by hash, before and after. Of what was before, the text may be gone. */
async function describes(shown: ManifestChange, before: unknown, after: unknown): Promise<boolean> {
  const isOf = async (text: string, entry: unknown) =>
    (entry as { manifest?: string } | null)?.manifest === (await hashed(`["bailiwick-mcp-manifest-v1",${text}]`))
  return (shown.before === null || (await isOf(shown.before, before))) && isOf(shown.after, after)
}

const hashOf = async (entity: unknown) => (entity === null ? undefined : encode(await sha256(canonical(entity))))

/** Whether a policy set names exactly these files, with these contents. Decision points load a set by its `hash`. */
async function says(text: Record<string, string>, set: unknown): Promise<boolean> {
  const files: Record<string, string> = {}
  for (const [name, content] of Object.entries(text)) files[name] = encode(await sha256(content))
  const named = set as { hash: string; files: Record<string, string> } | null
  const hash = encode(await sha256(canonical(files)))
  return named !== null && named.hash === hash && canonical(named.files) === canonical(files)
}

/** Signs a statement. The challenge is computed here from the statement that was shown, not taken from the server. */
export async function sign(
  requestId: string,
  { statement, statement_hash, rp_id, allow_credentials }: Rendered,
): Promise<ApproveAnswer> {
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
