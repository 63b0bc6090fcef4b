import { pointRoutes } from '@bailiwick/contracts/api'
import { encodeBase64url, type SigningKey, signCallerAssertion } from '@bailiwick/credentials'
import { errorCode, ServiceError } from '@bailiwick/errors'
import { parseStrictJson, type RandomSource } from '@bailiwick/kit'
import type { ManifestAnswer, ManifestReport } from './manifest-reports.ts'

export interface ApprovalClientOptions {
  /** The enforcement point's id in the registry. */
  id: string
  callerKey: SigningKey<'pep-caller'>
  /** The installation's public address, without a slash at the end. */
  publicUrl: string
  now: () => number
  random: RandomSource
  fetch?: typeof fetch
}

const { path, answer } = pointRoutes.reportManifest
const timeoutMs = 15_000
const assertionSeconds = 60
const longestAnswer = 65_536

/**
 * Reports manifests as this enforcement point. Its assertion is for this one address: the decision point, which gets others, cannot use it here.
 * Rejects with the code of the refusal, or with `service_unreachable`.
 */
export function manifestReporter(options: ApprovalClientOptions) {
  const { id, callerKey, publicUrl, now, random, fetch: ask = fetch } = options
  const url = `${publicUrl}${path}`
  return async (report: ManifestReport, stopping: AbortSignal): Promise<ManifestAnswer> => {
    const iat = Math.floor(now() / 1000)
    const claims = { iss: id, sub: id, aud: url, iat, exp: iat + assertionSeconds, jti: encodeBase64url(random(16)) }
    const signal = AbortSignal.any([stopping, AbortSignal.timeout(timeoutMs)])
    const { status, body } = await post(ask, url, { assertion: signCallerAssertion(claims, callerKey), report, signal })
    if (status !== 200) throw new ServiceError(errorCode(body))
    const read = answer.safeParse(body)
    if (!read.success) throw new ServiceError('service_unreachable', 'an answer that is none')
    return read.data
  }
}

async function post(
  ask: typeof fetch,
  url: string,
  { assertion, report, signal }: { assertion: string; report: ManifestReport; signal: AbortSignal },
) {
  try {
    const response = await ask(url, {
      method: 'POST',
      redirect: 'manual',
      signal,
      headers: { authorization: `Bearer ${assertion}`, 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify(report),
    })
    const chunks: Uint8Array[] = []
    let length = 0
    for await (const chunk of response.body ?? []) {
      length += chunk.length
      if (length > longestAnswer) throw new Error('the answer is too long')
      chunks.push(chunk)
    }
    return { status: response.status, body: length === 0 ? undefined : parseStrictJson(Buffer.concat(chunks)) }
  } catch (cause) {
    throw new ServiceError('service_unreachable', undefined, { cause })
  }
}
