import { secretsIn } from '@bailiwick/relay'
import { z } from 'zod'
import { address, template } from '../file-members.ts'
import { apiMeaning } from '../proxy/api-entry.ts'

/** An API behind another proxy, which asks for a decision at `/authorize/<name>` and then sends the request on itself. */
export const authorizeEntry = z
  .strictObject({
    ...apiMeaning,
    /** The address that agents call, at the proxy. What lies below it lies below `url` at the API. Proofs are made for it. */
    address: address
      .refine((url) => !url.includes('?'), 'expected a URL without a query')
      .transform((url) => url.replace(/\/$/, '')),
    /** How the proxy asks: in `X-Forwarded-Method` and `X-Forwarded-Uri`, or with the request's own method and path, as Envoy does. */
    proxy: z.enum(['forward-auth', 'envoy']).default('forward-auth'),
    /** What the proxy sends in `Bailiwick-Proxy`. */
    secret: template.refine((parts) => secretsIn(parts).length > 0, 'expected ${secret:REFERENCE}'),
    /** Whether the proxy shows the whole body of each request. */
    body: z.enum(['shown', 'unseen']).default('unseen'),
    /** How long the gateway waits for Envoy's access log of a request that it allowed. Absent: it does not wait. */
    log_seconds: z.int().min(1).max(3600).optional(),
  })
  .refine(({ proxy, body }) => proxy === 'envoy' || body === 'unseen', {
    path: ['body'],
    message: 'only Envoy shows a body',
  })
  .refine(({ proxy, log_seconds }) => proxy === 'envoy' || log_seconds === undefined, {
    path: ['log_seconds'],
    message: 'only Envoy sends its log',
  })
export type AuthorizeEntry = z.output<typeof authorizeEntry>
