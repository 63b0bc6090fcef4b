import { join } from 'node:path'
import { type Envelope, encodeEnvelope } from '@bailiwick/contracts'
import { readKeyFile, signEvent } from '@bailiwick/credentials'
import { keyFileNames, paths } from '@bailiwick/installation'
import { writeLog } from '../audit/write-log.ts'
import { pythonWithPackages, run, verifiers } from './programs.ts'

/** The parts of an approval that a liar changes. */
export interface Said {
  statement: Record<string, unknown>
  statement_hash: string
  assertions: { credential_id: string; authenticator_data: string }[]
}

export const read = (bytes: Uint8Array | undefined) => JSON.parse(Buffer.from(bytes ?? []).toString()) as Envelope

/** In the order of their time: requests from several partitions come into the log in any order. */
export const placesOf = (entries: readonly Uint8Array[], type: string) =>
  entries
    .flatMap((bytes, index) => (read(bytes).type === type ? [{ index, time: read(bytes).time }] : []))
    .sort((a, b) => (a.time < b.time ? -1 : 1))
    .map(({ index }) => index)

/** A log in which a stolen service falsifies one of its events; the event is signed and certified all the same. */
export function told(
  { data, entries }: { data: string; entries: readonly Uint8Array[] },
  service: 'approval' | 'issuer',
  place: number | undefined,
  lie: (event: Envelope) => void,
): Uint8Array[] {
  const purpose = `${service}-event` as const
  const key = readKeyFile(paths(data).keys(service), keyFileNames[purpose], purpose)
  return entries.map((bytes, index) => {
    if (index !== place) return bytes
    const { jws: _, ...event } = read(bytes)
    lie(event as Envelope)
    return signEvent(encodeEnvelope(event as never), key)
  })
}

/** The output of `verify_approvals.py` for a log of these leaves. */
export async function verified(data: string, leaves: readonly Uint8Array[]) {
  writeLog(data, leaves)
  const python = await pythonWithPackages(verifiers)
  const { code, out, err } = await run(python, [join(verifiers, 'verify_approvals.py'), '--data', data])
  const lines = out.trim().split('\n').sort()
  return { code, err, lines, bad: lines.filter((line) => line.includes('\tBAD\t')) }
}
