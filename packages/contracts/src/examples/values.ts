/** Stand-ins that say what they stand for. Only their form is correct: no hash matches content, and no signature verifies. */

const filled = (label: string, length: number) => label.padEnd(length, '0')

export const sha256 = (label: string): string => `${filled(label, 42)}A`
/** base64url of any length except a multiple of 4 plus 1, which no bytes encode to. */
export const base64url = (label: string): string => (label.length % 4 === 1 ? `${label}0` : label)
export const id = (prefix: string, label: string): string => `${prefix}_${filled(label, 20)}`
/** The header is `{"alg":"ES256"}`. */
export const jws = (label: string): string => `eyJhbGciOiJFUzI1NiJ9.${base64url(label)}.${filled('signature', 86)}`
/** Detached, as an event's own (RFC 7515 appendix F). */
export const eventJws = `eyJhbGciOiJFUzI1NiJ9..${filled('signature', 86)}`
export const salted = (label: string): { salted_sha256: string } => ({ salted_sha256: sha256(label) })
export const jwk = (label: string): { kty: 'EC'; crv: 'P-256'; x: string; y: string } => ({
  kty: 'EC',
  crv: 'P-256',
  x: sha256(`${label}-x`),
  y: sha256(`${label}-y`),
})

/** A moment of the story, in minutes after its beginning. */
export const at = (minutes: number): string => `2026-07-01T09:${String(minutes).padStart(2, '0')}:00.000Z`

export const installation = 'ins_EXAMPLE0001'
export const origin = `bailiwick.example/${installation}`
export const agent = 'spiffe://example.org/agent/reconciler'
export const instance = `${agent}/one`
export const instanceKey = sha256('instance-key')

export const requestId = id('req', 'reconcile-q3-invoices')
export const registryRequestId = id('req', 'register-the-reconciler')
export const grantId = id('grt', 'reconcile-q3-invoices')
export const delegationId = id('dlg', 'read-invoices')
export const subAgent = 'spiffe://example.org/agent/reader/one'
export const credentialId = id('crd', 'reconcile-q3-invoices')
export const decisionId = id('dec', 'adjust-invoice-4711')
export const callId = 'call-adjust-invoice-4711'
/** The name of one start of the enforcement point. */
export const pointInstance = 'instance0erp0gateway0A'
export const actionDigest = sha256('action-digest')

export const authority = {
  type: 'bailiwick_task' as const,
  task: 'reconcile-q3-invoices',
  permissions: [
    { actions: ['tools/call'], resource: { type: 'tool', id: 'invoices.read' } },
    {
      actions: ['tools/call'],
      resource: { type: 'tool', id: 'adjustments.post' },
      where: { '/amount': { max: '500' }, '/currency': { in: ['EUR'] } },
      cost: { amount: '/amount', currency: '/currency' },
      max_uses: 10,
    },
  ],
  budget: { calls: 200, cost: { EUR: '2000.00' }, egress_bytes: 1_000_000 },
  max_depth: 2,
  max_children: 5,
}
