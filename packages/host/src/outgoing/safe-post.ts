import { lookup as systemLookup } from 'node:dns/promises'
import { request } from 'node:http'
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { answerTo, isPublicAddress, unlessAborted } from '@bailiwick/kit'

/** The addresses of a name, as `dns.lookup` with `all` gives them. */
export type Lookup = (host: string) => Promise<readonly { address: string }[]>

export interface SafePostOptions {
  lookup?: Lookup
  /** Opens a connection to an address that was found public. A test redirects it. */
  dial?: (address: string, port: number) => Socket
  /** A certificate authority to trust in addition to the system's; for tests. */
  ca?: string
  /** The time for everything, from the lookup to the last byte of the response. Default: 10 s. */
  deadlineMs?: number
}

export interface Post {
  url: string
  headers: Readonly<Record<string, string>>
  body: string | Uint8Array
}

/** The result. `delivered` is any 2xx. The response's body is read to its end or its limit, and never passed on. */
export type Posted =
  | { outcome: 'delivered'; status: number }
  /** A retry may succeed. */
  | { outcome: 'failed'; why: 'unreachable' | 'late' | 'answer_too_large' | 'status'; status?: number }
  /** It was not sent, and never will be. */
  | { outcome: 'forbidden'; why: 'url' | 'address' }

/** Never rejects. Resolves by its deadline, or once `stop` is aborted (then as failed), even if the other side never answers. */
export type SafePost = (post: Post, stop?: AbortSignal) => Promise<Posted>

const longestBody = 65_536
const longestAnswer = 65_536
const addressesTried = 3

/**
 * Posts to a URL that another party chose, without reaching anything internal (server-side request forgery): https only, no
 * credentials in the URL, and a connection only to an address that was looked up once, here, and found public. The name is not
 * resolved again, so a name server that answers differently the second time (DNS rebinding) gains nothing. A name with even one
 * internal address is refused. No redirect is followed, no proxy is used, and no connection is kept.
 */
export function safePost(options: SafePostOptions = {}): SafePost {
  const { deadlineMs = 10_000 } = options
  return async (post, stop) => {
    const url = safeUrl(post.url)
    if (url === undefined || Buffer.byteLength(post.body) > longestBody) return { outcome: 'forbidden', why: 'url' }
    const timeout = AbortSignal.timeout(deadlineMs)
    const late = stop === undefined ? timeout : AbortSignal.any([stop, timeout])
    let socket: TLSSocket | undefined
    try {
      const addresses = await unlessAborted(addressesOf(url, options.lookup ?? allAddresses), late)
      if (addresses.length === 0) return { outcome: 'failed', why: 'unreachable' }
      if (!addresses.every(isPublicAddress)) return { outcome: 'forbidden', why: 'address' }
      socket = await open(url, addresses.slice(0, addressesTried), options, late)
      return await unlessAborted(send(url, post, socket, late), late)
    } catch {
      return { outcome: 'failed', why: late.aborted ? 'late' : 'unreachable' }
    } finally {
      socket?.destroy()
    }
  }
}

/**
 * A URL that may be posted to, parsed as WHATWG says. undefined unless it is https, without credentials and without a fragment. Numbers
 * that are addresses in disguise (`0x7f.1`, `2130706433`) come out as addresses, and dots in paths are resolved.
 */
export function safeUrl(text: string): URL | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || url.protocol !== 'https:' || url.hostname === '') return undefined
  // An empty `@` or `#` leaves no trace in the parsed URL, but indicates an attack.
  if (url.username !== '' || url.password !== '' || text.includes('#') || /^[^/]*\/\/[^/?]*@/.test(text))
    return undefined
  return url
}

async function addressesOf(url: URL, lookup: Lookup): Promise<string[]> {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  if (isIP(host) !== 0) return [host] // no resolver would be asked: it is judged as written
  return (await lookup(host)).map(({ address }) => address)
}

const allAddresses: Lookup = (host) => systemLookup(host, { all: true })

async function open(url: URL, addresses: string[], options: SafePostOptions, late: AbortSignal): Promise<TLSSocket> {
  let failure: unknown
  for (const address of addresses) {
    try {
      return await openTo(url, address, options, late)
    } catch (error) {
      failure = error
      if (late.aborted) break
    }
  }
  throw failure
}

function openTo(url: URL, address: string, { dial, ca }: SafePostOptions, late: AbortSignal): Promise<TLSSocket> {
  const port = url.port === '' ? 443 : Number(url.port)
  const tcp = dial?.(address, port) ?? connectTcp({ host: address, port })
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const tls = connectTls({
    socket: tcp,
    ...(isIP(host) === 0 ? { servername: host } : { host }),
    ALPNProtocols: ['http/1.1'],
    minVersion: 'TLSv1.2',
    rejectUnauthorized: true, // even if the environment disables it
    ...(ca === undefined ? {} : { ca }),
  })
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) => {
      late.removeEventListener('abort', abort)
      tcp.destroy()
      tls.destroy()
      reject(error)
    }
    const abort = () => fail(late.reason)
    if (late.aborted) return abort()
    late.addEventListener('abort', abort, { once: true })
    // For as long as the sockets live: an unhandled error would end the process.
    tcp.on('error', fail)
    tls.on('error', fail)
    tls.once('close', () => fail(new Error('closed')))
    tls.once('secureConnect', () => {
      late.removeEventListener('abort', abort)
      resolve(tls)
    })
  })
}

async function send(url: URL, { headers, body }: Post, socket: TLSSocket, late: AbortSignal): Promise<Posted> {
  const sent = request({
    createConnection: () => socket,
    method: 'POST',
    path: `${url.pathname}${url.search}`,
    headers: { ...headers, host: url.host, 'content-length': String(Buffer.byteLength(body)), connection: 'close' },
    signal: late,
    maxHeaderSize: 16_384,
  })
  const answer = await answerTo(sent, body, late)
  const status = answer.statusCode ?? 0
  let length = 0
  for await (const chunk of answer) {
    length += (chunk as Buffer).length
    if (length > longestAnswer) return { outcome: 'failed', why: 'answer_too_large', status }
  }
  return status >= 200 && status < 300 ? { outcome: 'delivered', status } : { outcome: 'failed', why: 'status', status }
}
