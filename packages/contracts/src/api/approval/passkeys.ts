import { z } from 'zod'
import { base64urlSchema, compactJwsSchema, lineSchema, nameSchema } from '../../primitives.ts'
import { type Assertion, assertionSchema } from '../../statements.ts'
import type { Routes } from '../route.ts'
import { changedEntitySchema } from './views.ts'

/** AuthenticationResponseJSON (WebAuthn Level 3 §5.1.7), as a browser's `toJSON()` gives it. */
const browserAssertionSchema = z
  .object({
    id: assertionSchema.shape.credential_id,
    rawId: assertionSchema.shape.credential_id,
    type: z.literal('public-key'),
    response: z.object({
      authenticatorData: assertionSchema.shape.authenticator_data,
      clientDataJSON: assertionSchema.shape.client_data_json,
      signature: assertionSchema.shape.signature,
    }),
  })
  .refine(({ id, rawId }) => id === rawId, 'id: is not rawId')
  .transform(
    ({ id, response }): Assertion => ({
      credential_id: id,
      authenticator_data: response.authenticatorData,
      client_data_json: response.clientDataJSON,
      signature: response.signature,
    }),
  )

/** An assertion in the spelling of browsers, or in that of our events. */
export const sentAssertionSchema = z.union([assertionSchema, browserAssertionSchema])

const descriptors = z.array(z.object({ id: z.string(), type: z.literal('public-key') })).optional()
/** PublicKeyCredentialCreationOptionsJSON (WebAuthn Level 3 §5.1.8). */
const creationOptionsSchema = z
  .looseObject({
    challenge: z.string(),
    rp: z.object({ id: z.string(), name: z.string() }),
    user: z.object({ id: z.string(), name: z.string(), displayName: z.string() }),
    pubKeyCredParams: z.array(z.object({ type: z.literal('public-key'), alg: z.int() })),
    excludeCredentials: descriptors,
  })
  .meta({ id: 'creation-options' })
/** PublicKeyCredentialRequestOptionsJSON (WebAuthn Level 3 §5.1.9). */
const requestOptionsSchema = z
  .looseObject({
    challenge: z.string(),
    rpId: z.string(),
    timeout: z.int(),
    userVerification: z.enum(['required', 'preferred', 'discouraged']),
    allowCredentials: descriptors,
  })
  .meta({ id: 'request-options' })
/** What the authenticator made, as a browser's `toJSON()` gives it. */
const responseSchema = z.record(z.string(), z.unknown())

const codeSchema = z.string().max(100)
const made = { enrolment_id: z.string().max(100), response: responseSchema }
const begun = z.object({ enrolment_id: z.string(), options: creationOptionsSchema })
const person = z.object({ id: z.string(), name: z.string(), groups: z.array(z.string()) })
const invitee = { approver_id: z.string(), name: z.string(), groups: z.array(z.string()) }

/** A change of the registry that a person proposed, which people answer; null: nothing would change. */
export const proposedSchema = z.object({ request_id: z.string().nullable(), diff: z.array(changedEntitySchema) })

/** Enrolment, sign-in and passkeys: `/console/api/…`. */
export const passkeyRoutes = {
  beginEnrolment: {
    method: 'POST',
    path: '/console/api/enrolment/options',
    summary: 'Options for a new passkey, on the word of the invitation, a colleague’s link or a recovery',
    on: 'http',
    body: z.union([
      z.strictObject({ approver_id: nameSchema, name: lineSchema }),
      z.strictObject({ code: codeSchema }),
      z.strictObject({ recovery: nameSchema }),
    ]),
    answer: begun.extend({
      /** What the invitation or the recovery must sign besides the passkey. */
      invitation: z.object({ installation: z.string(), ...invitee }).optional(),
      /** The person whom a colleague invited. */
      invited: z.object({ ...invitee, by: z.string() }).optional(),
    }),
  },
  enrol: {
    method: 'POST',
    path: '/console/api/enrolment',
    summary: 'Makes an approver of the passkey, and signs in; or proposes the person whom a colleague invited',
    on: 'http',
    body: z.union([
      z.strictObject({ ...made, invitation: compactJwsSchema }),
      z.strictObject({ ...made, code: codeSchema }),
      z.strictObject({ ...made, invitation: compactJwsSchema, recovery: nameSchema }),
    ]),
    answer: z.union([z.object({ me: person }), proposedSchema.extend({ by: z.string() })]),
  },
  beginSignIn: {
    method: 'POST',
    path: '/console/api/session/options',
    summary: 'Options for signing in by passkey',
    on: 'http',
    body: z.strictObject({ approver_id: nameSchema.optional() }),
    answer: z.object({ sign_in_id: z.string(), options: requestOptionsSchema }),
  },
  signIn: {
    method: 'POST',
    path: '/console/api/session',
    summary: 'Signs in, and sets the session’s cookie',
    on: 'http',
    body: z.strictObject({ sign_in_id: z.string().max(100), assertion: sentAssertionSchema }),
    answer: z.object({ me: person }),
  },
  signOut: {
    method: 'POST',
    path: '/console/api/session/end',
    summary: 'Ends the session',
    on: 'http',
    body: z.strictObject({}),
    answer: z.object({ ended: z.literal(true) }),
  },
  beginPasskey: {
    method: 'POST',
    path: '/console/api/passkeys/options',
    summary: 'Options for another passkey of the signed-in person',
    on: 'http',
    body: z.strictObject({}),
    answer: begun,
  },
  addPasskey: {
    method: 'POST',
    path: '/console/api/passkeys',
    summary: 'Proposes another passkey of the signed-in person',
    on: 'http',
    body: z.strictObject(made),
    answer: proposedSchema,
  },
  retirePasskey: {
    method: 'POST',
    path: '/console/api/passkeys/:id/retire',
    summary: 'Proposes to retire a passkey of the signed-in person',
    on: 'http',
    params: z.object({ id: base64urlSchema.max(1400) }),
    body: z.strictObject({}),
    answer: proposedSchema,
  },
} as const satisfies Routes
