import { fieldsOf } from '@bailiwick/kit'
import { holdsSecret } from '../secrets/without-secrets.ts'
import type { RawHeaders } from '../upstream.ts'

/**
 * Fields of an answer that the relay drops: framing and hop-by-hop fields; sessions and challenges of the upstream, which are between it
 * and this point; fields that speak for this point's address (CORS, transport security, alternative services); and fields that only this
 * point itself may write.
 */
const ends: ReadonlySet<string> = new Set([
  'alt-svc',
  'authentication-info',
  'clear-site-data',
  'connection',
  'dpop-nonce',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-connection',
  'refresh',
  'set-cookie',
  'set-cookie2',
  'strict-transport-security',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'www-authenticate',
])
const endsByPrefix = /^(?:access-control-|bailiwick-)/

/** The fields of an answer that are passed on. Fields that the upstream names in `Connection`, or that hold one of `secrets`, are not. */
export function passedOn(headers: RawHeaders, secrets: readonly string[]): RawHeaders {
  const named = new Set(fieldsOf(headers, 'connection').flatMap((text) => text.toLowerCase().split(/[ ,]+/)))
  const kept: string[] = []
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const [name = '', value = ''] = [headers[at], headers[at + 1]]
    const lower = name.toLowerCase()
    if (ends.has(lower) || endsByPrefix.test(lower) || named.has(lower)) continue
    if (!/^[\x20-\x7e\t]*$/.test(value) || holdsSecret(value, secrets)) continue
    kept.push(name, value)
  }
  return Object.freeze(kept)
}
