import { errorCode, ServiceError } from '@bailiwick/errors'
import type { Io } from '../io.ts'
import type { Entry } from './entries.ts'

const answerMs = 5000

/**
 * Looks whether the gateway has these entries, before a human is asked for them, by the metadata that it serves of each (RFC 9728). Providers of
 * models have none. Throws `config_invalid` for one that it has not. A gateway that does not answer is said and no more: it may begin later.
 */
export async function mustBeServed(entries: readonly Entry[], gateway: string, io: Pick<Io, 'err'>): Promise<void> {
  const described = entries.filter(({ kind }) => kind !== 'models')
  const looked = await Promise.allSettled(described.map(({ path }) => mustHave(path, gateway)))
  for (const each of looked) {
    if (each.status === 'fulfilled') continue
    if (errorCode(each.reason) === 'config_invalid') throw each.reason
    io.err(`bailiwick: the gateway at ${gateway} does not answer yet`)
    return
  }
}

async function mustHave(path: string, gateway: string): Promise<void> {
  const metadata = `${gateway}/.well-known/oauth-protected-resource/${path}`
  const { status } = await fetch(metadata, { redirect: 'error', signal: AbortSignal.timeout(answerMs) })
  if (status === 404)
    throw new ServiceError('config_invalid', `the gateway at ${gateway} serves nothing at /${path}: see gateway.yaml`)
}
