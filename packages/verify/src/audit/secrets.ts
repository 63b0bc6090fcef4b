import { openCompact } from './jws.ts'
import type { Finding, Leaf } from './leaf.ts'

/**
 * Tokens that authenticate any bearer. A request, an outcome, a certificate or a delegation only proves something, and
 * gives no access.
 */
const secretTypes = ['at+jwt', 'dpop+jwt', 'client-authentication+jwt', 'bailiwick-caller+jwt', 'bailiwick-permit+jwt']

const compactJws = /eyJ[\w-]+\.[\w-]+\.[\w-]+/g
const privateKeys = [/"d"\s*:\s*"[\w-]{40,}"/, /PRIVATE\+KEY\+/, /-----BEGIN [A-Z ]*PRIVATE KEY/]

/** No leaf has a token, a proof or a private key in it (V17). */
export function secretFindings(leaves: readonly Pick<Leaf, 'index' | 'bytes'>[]): Finding[] {
  return leaves.flatMap(({ index, bytes }) => {
    const text = Buffer.from(bytes).toString('utf8')
    const tokens = (text.match(compactJws) ?? []).map((jws) => String(openCompact(jws)?.header.typ))
    const found = tokens.filter((typ) => secretTypes.includes(typ)).map((typ) => `a token of type ${typ}`)
    if (privateKeys.some((pattern) => pattern.test(text))) found.push('a private key')
    return found.map((detail) => ({ leaf: index, rule: 'V17' as const, detail }))
  })
}
