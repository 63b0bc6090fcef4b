import { existsSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { generateKey, keyFilePath, readKeyFile, type SigningKey, writeKeyFile } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'

/** Who takes a token: approval with a request, or the issuer at its token endpoint. */
export type Taker = 'access-requests' | 'token'

/**
 * Where the workload's token comes from, for this taker alone. Asked anew each time, so that what the authority renewed is what is
 * shown; it may give the same one again while that lives. `audience` is the one that the taker accepts, with nothing beside it.
 */
export type TokenSource = (wanted: { taker: Taker; audience: string }) => Promise<string> | string

/** How an instance whose key nobody registered shows which one it is, by the attestor of its agent's registration. */
export interface WorkloadAttestation {
  kind: 'jwt_svid' | 'oidc' | 'join_token'
  token: TokenSource
  /** `oidc`: the audience of the registration, which stands for the public address. */
  audience?: string
}

/** What approval and the issuer each take at most. */
const longestToken = 16_384

/** The token for one taker. Throws `attestation_unavailable` when its source gives none; a token never stands in an error (V17). */
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

/** Files that whoever runs the workload keeps fresh, as Kubernetes projects them: one for each taker, read again each time. */
export function tokenFiles(files: Readonly<Partial<Record<Taker, string>>>): TokenSource {
  return async ({ taker }) => {
    const file = files[taker]
    if (file === undefined) throw new ServiceError('config_invalid', `no token file for ${taker}`)
    if ((await stat(file)).size > 2 * longestToken) throw new ServiceError('config_invalid', `${file} is no token`)
    return (await readFile(file, 'utf8')).trim()
  }
}

/** The two halves of what `bailiwick agents join-token` printed: each service is shown its own, and could use no other. */
export function joinToken(printed: string): TokenSource {
  const [forApproval = '', forIssuer = '', ...more] = printed.trim().split('.')
  if (forApproval === '' || forIssuer === '' || more.length > 0)
    throw new ServiceError('config_invalid', 'a join token is two secrets, joined by a dot')
  return ({ taker }) => (taker === 'token' ? forIssuer : forApproval)
}

/**
 * The key of a workload: kept in this file, mode 0600, made when there is none; without a file made anew, in memory, so that it ends with the
 * process. A grant is bound to it: who starts again with another key goes on only under one with `rebind: attested`.
 */
export function workloadKey(file?: string): SigningKey<'agent'> {
  if (file === undefined) return generateKey('agent')
  const [folder, name] = [dirname(file), basename(file, '.json')]
  if (!existsSync(keyFilePath(folder, name))) writeKeyFile(folder, name, generateKey('agent'))
  return readKeyFile(folder, name, 'agent')
}
