/** An error with a problem document's title and, where our server adds one, its detail. It never shows the input. */
export class Problem extends Error {
  readonly status: number
  readonly code: string | undefined

  constructor(status: number, { title = 'Something went wrong', detail, code }: ProblemDocument = {}) {
    super(detail ? `${title} (${inLocalTime(detail)})` : title)
    this.status = status
    this.code = code
  }
}

const moment = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })

/** Shows the times in a server's text as local times. */
const inLocalTime = (text: string) => text.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, (iso) => moment.format(Date.parse(iso)))

interface ProblemDocument {
  title?: string
  detail?: string
  code?: string
}

type Listener = () => void
const signedOut = new Set<Listener>()

/** Called when the server no longer knows the session. */
export function onSignedOut(listener: Listener): () => void {
  signedOut.add(listener)
  return () => signedOut.delete(listener)
}

export function tellSignedOut(): void {
  for (const listener of signedOut) listener()
}

const send = (path: string, body?: unknown): Promise<Response> =>
  fetch(`/console/api${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    credentials: 'same-origin',
    cache: 'no-store',
  })

const early = new Map<string, Promise<Response>>()
/** An answer that the page has not taken by then is old. */
const earlyMs = 10_000

/** Asks now what the page will ask soon. The page's own ask then takes this answer, once. */
export function startEarly(path: string): Promise<Response> {
  const sent = send(path)
  early.set(path, sent)
  setTimeout(() => early.delete(path), earlyMs)
  sent.catch(() => undefined) // told to the one who takes it
  return sent
}

function takeEarly(path: string): Promise<Response> | undefined {
  const sent = early.get(path)
  early.delete(path)
  return sent
}

/** Without a body: GET. */
export async function api<T>(path: string, body?: unknown): Promise<T> {
  if (body !== undefined) early.clear() // what was asked before may be other than this makes it: who is signed in, for one
  const sent = takeEarly(path) ?? send(path, body)
  // Browsers report every kind of network failure as a failed fetch.
  const response = await sent.catch((cause) => {
    throw new Error('The server cannot be reached. Check your connection, then try again.', { cause })
  })
  const answer = (await response.json().catch(() => undefined)) as (T & ProblemDocument) | undefined
  if (response.status === 401) tellSignedOut()
  if (!response.ok) throw new Problem(response.status, answer)
  // The connection ended in the middle, or a proxy answered in the server's place.
  if (answer === undefined) throw new Error('The server’s answer cannot be read. Try again.')
  return answer
}

/** Only the members that have a value. */
export function query(members: Record<string, string | undefined>): string {
  const given = Object.entries(members).filter((pair): pair is [string, string] => Boolean(pair[1]))
  return given.length === 0 ? '' : `?${new URLSearchParams(given)}`
}

let aheadMs = 0

/** The server's clock decides when things end; this browser's clock may be wrong. */
export function setServerTime(iso: string): void {
  aheadMs = Date.parse(iso) - Date.now()
}

export const serverNow = () => Date.now() + aheadMs
