import { text } from 'node:stream/consumers'
import { psql } from '../e2e/postgres-server.ts'
import type { PlainClient } from './mcp-client.ts'
import { must } from './must.ts'
import { isPassing, repeating } from './patiently.ts'

/** How something that was open ended, and when. */
export interface Ended {
  said: string
  at: number
}

/** Something that goes on until it is cut. */
export interface Open {
  over: Promise<Ended>
}

const endedNow = (said: string): Ended => ({ said, at: performance.now() })

/** A call that a busy machine ended while `goesOn()` had no effect, and is made again. */
function again(goesOn: () => boolean, call: () => Promise<string>): Open {
  const attempt = async (): Promise<Ended> => {
    const ended = endedNow(await call())
    return isPassing(ended.said) && goesOn() ? attempt() : ended
  }
  const over = attempt()
  over.catch(() => undefined)
  return { over }
}

/** A call of `tail_notes`, which its server keeps open. */
export const openCall = (client: PlainClient, goesOn: () => boolean): Open =>
  again(goesOn, () => client.call('tail_notes'))

/** A statement of psql that sleeps for an hour. */
export const openStatement = (url: string, goesOn: () => boolean): Open =>
  again(goesOn, async () => (await psql(url, ['-c', 'SELECT pg_sleep(3600)'])).said)

/** A stream of the API. Resolves once the API answers. */
export async function openStream(start: () => Promise<Response>): Promise<Open> {
  const response = await repeating(
    ({ ok }) => !ok,
    () => start(),
  )
  must(response.ok && response.body !== null, `the stream got ${response.status}`)
  const over = text(response.body).then(
    () => endedNow('ended'),
    () => endedNow('cut'),
  )
  return { over }
}

/** Resolves once `isOver` is true; throws `otherwise` after two minutes. */
export async function overOnce(otherwise: string, isOver: () => Promise<boolean>): Promise<Ended> {
  for (const end = performance.now() + 120_000; performance.now() < end; ) if (await isOver()) return endedNow('over')
  throw new Error(otherwise)
}
