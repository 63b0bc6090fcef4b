import { existsSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { generateKey, keyFilePath, readKeyFile, type SigningKey, writeKeyFile } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'

/** The service that takes a token: approval with a request, or the issuer at its token endpoint. */
export type Taker = 'access-requests' | 'token'

/**
 * The source of the workload's token, for this taker alone. It is called each time, so that a token renewed by the authority is used; it
 * may return the same token again while that is alive. `audience` must be the token's only audience.
 */
export type TokenSource = (wanted: { taker: Taker; audience: string }) => Promise<string> | string

/** How an instance without a registered key shows which instance it is, by the attestor in its agent's registration. */
export interface WorkloadAttestation {
  kind: 'jwt_svid' | 'oidc' | 'join_token'
  token: TokenSource
  /** `oidc`: the audience in the registration, instead of the public address. */
  audience?: string
}

/** The longest token that approval and the issuer each accept. */
const longestToken = 16_384

/** The token for one taker. Throws `attestation_unavailable` if its source gives none; a token never appears in an error (V17). */
export async function workloadToken(
  { token, audience }: WorkloadAttestation,
  taker: Taker,
  endpoints: { issuer: string; accessRequests: string },
): Promise<string> {
  const base = audience ?? endpoints.issuer
  const forRequests = audience === undefined ? endpoints.accessRequests : `${trimmed(audience)}/access/v1/requests`
  let given: string
  try {
    given = await token({ taker, audience: taker === 'token' ? base : forRequests })
  } catch (cause) {
    throw new ServiceError('attestation_unavailable', 'the source of tokens of the workload failed', { cause })
  }
  if (!/^[\x21-\x7e]+$/.test(given) || given.length > longestToken)
    throw new ServiceError('attestation_unavailable', 'what the source of tokens gave is no token')
  return given
}

const trimmed = (address: string) => address.replace(/\/$/, '')

/** Files that the workload's platform keeps fresh, such as those projected by Kubernetes: one for each taker, read again each time. */
export function tokenFiles(files: Readonly<Partial<Record<Taker, string>>>): TokenSource {
  return async ({ taker }) => {
    const file = files[taker]
    if (file === undefined) throw new ServiceError('config_invalid', `no token file for ${taker}`)
    if ((await stat(file)).size > 2 * longestToken) throw new ServiceError('config_invalid', `${file} is no token`)
    return (await readFile(file, 'utf8')).trim()
  }
}

/** The two halves of the output of `bailiwick agents join-token`: each service is shown its own half, and could not use the other. */
export function joinToken(printed: string): TokenSource {
  const [forApproval = '', forIssuer = '', ...more] = printed.trim().split('.')
  if (forApproval === '' || forIssuer === '' || more.length > 0)
    throw new ServiceError('config_invalid', 'a join token is two secrets, joined by a dot')
  return ({ taker }) => (taker === 'token' ? forIssuer : forApproval)
}

/**
 * The key of a workload. With a file, the key is kept there, mode 0600, and created if there is none. Without a file, a new key is made in
 * memory and ends with the process. A grant is bound to the key: a process that restarts with another key can continue only under a grant
 * with `rebind: attested`.
 */
export function workloadKey(file?: string): SigningKey<'agent'> {
  if (file === undefined) return generateKey('agent')
  const [folder, name] = [dirname(file), basename(file, '.json')]
  if (!existsSync(keyFilePath(folder, name))) writeKeyFile(folder, name, generateKey('agent'))
  return readKeyFile(folder, name, 'agent')
}
