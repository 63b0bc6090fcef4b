import { parseTemplate } from '@bailiwick/relay'
import { z } from 'zod'
import { secretInUrl } from './plain-secret.ts'

// Members that several kinds of entries of gateway.yaml share.

/** A name in the registry that is also a segment of a path. */
export const serverName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, 'expected a name of a-z, 0-9, _ and -, such as billing')
/** The name of a header field, in lower case. */
export const fieldName = z
  .string()
  .regex(/^[a-z0-9!#$%&'*+.^_`|~-]{1,100}$/, 'expected the name of a header field in lower case')
/** A text with references to secrets in it. */
export const template = z
  .string()
  .max(4096)
  .transform((text, context) => {
    const parsed = parseTemplate(text)
    if (parsed !== undefined) return parsed
    context.addIssue('expected ${secret:REFERENCE} with nothing else after a $')
    return z.NEVER
  })

/** A plain address: a user in it would be a secret in a place where no secret belongs. */
export const address = z
  .string()
  .max(2048)
  .transform((text, context): string => {
    const url = URL.parse(text)
    if (url !== null && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '' && url.hash === '')
      return url.href
    context.addIssue('expected a URL with http or https, without user and fragment')
    return z.NEVER
  })
  .superRefine((href, context) => {
    const name = secretInUrl(new URL(href))
    if (name !== undefined)
      context.addIssue(`the parameter ${name} looks like a secret, and people sign the address: use inject.headers`)
  })

/** Fields that frame a request or that the gateway itself makes: an injected one would contradict what was decided. */
const ownFields =
  /^(host|connection|content-length|content-type|transfer-encoding|te|trailer|upgrade|expect|accept|dpop|mcp-.*)$/
/** Header fields with secrets in them. */
export const headers = z.record(
  fieldName.refine((name) => !ownFields.test(name), 'this field is made by the gateway'),
  template,
)

/** The fields that the gateway adds for an upstream, with its secrets. */
export const injectedHeaders = z.strictObject({ headers: headers.default({}) }).default({ headers: {} })

/** The name of a tool server in the registry. */
export const serverId = z
  .string()
  .regex(/^[A-Za-z0-9._@-]{1,64}$/, 'expected the name of a tool server in the registry')
