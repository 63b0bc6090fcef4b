import type { Authority } from '@bailiwick/authority'
import type { PublicJwk } from '@bailiwick/credentials'
import type { Denial } from './denial.ts'
import { type SignedRequest, wordsOf } from './sign-request.ts'

const mostItems = 64

interface Item {
  resource: { type: string; id: string }
  action: { name: string }
  denial?: object
}

/** An authority's statement of which instance it is, and the key that signed the request. */
export interface ShownAttestation {
  token: string
  jwk: PublicJwk
}

/**
 * A signed request in the form of the access request profile: what is asked and denied is repeated around it in the profile's own terms.
 */
export function submissionOf(id: string, signed: SignedRequest, attestation?: ShownAttestation): object {
  const { jws, callback, denials = [] } = signed
  return {
    subject: { type: 'agent', id },
    ...namedBy(pairsIn(jws), denials),
    ...(callback === undefined ? {} : { callback }),
    bailiwick: { request: jws, ...wordsOf(signed), ...(attestation ? { attestation } : {}) },
  }
}

/** Several denials: one per item. A denial of one action of a larger request: that action alone. No denial: each requested action. */
function namedBy(pairs: readonly Item[], denials: readonly Denial[]): object {
  const [denial, ...others] = denials
  if (denial && others.length === 0) return itemOf(denial)
  if (denial) return { items: denials.map(itemOf) }
  return pairs.length > 1 && pairs.length <= mostItems ? { items: pairs } : { ...pairs[0] }
}

function itemOf({ action, resource, bindingToken, expiresAt, decisionId, reason }: Denial): Item {
  return {
    resource,
    action: { name: action },
    denial: {
      binding_token: bindingToken,
      expires_at: expiresAt,
      ...(decisionId === undefined ? {} : { evaluation_id: decisionId }),
      ...(reason === undefined ? {} : { reason }),
    },
  }
}

/** What we signed ourselves, action by action. */
function pairsIn(jws: string): Item[] {
  const payload = Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString()
  const { authority } = JSON.parse(payload) as { authority: Pick<Authority, 'permissions'> }
  return authority.permissions.flatMap(({ actions, resource: { type, id, id_prefix } }) =>
    actions.map((name) => ({ resource: { type, id: id ?? id_prefix ?? '' }, action: { name } })),
  )
}
