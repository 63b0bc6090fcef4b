import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as secure } from 'node:tls'
import { ServiceError } from '@bailiwick/errors'
import { type RandomSource, unlessAborted } from '@bailiwick/kit'
import { errorFields, saslInitial, saslResponse, sslRequest, startupMessage } from './messages.ts'
import { ScramClient } from './scram.ts'
import { type ServerMessage, Wire } from './wire.ts'

/** Where the server is, and how the gateway verifies it. */
export interface ServerAddress {
  readonly host: string
  readonly port: number
  /** The certificates of its authority; those of the system if undefined. `off`: it is on this machine, and the connection is in the clear. */
  readonly tls: { readonly ca: string | undefined } | 'off'
}

export interface LogIn {
  readonly user: string
  readonly password: string
  readonly database: string
  readonly settings: Readonly<Record<string, string>>
}

/** A session whose server waits for the first statement. */
export interface LoggedIn {
  readonly socket: Socket
  readonly wire: Wire
  /** The bodies of the server's ParameterStatus messages. */
  readonly parameters: readonly Buffer[]
}

const mostParameters = 64
/** How long a session may take to open. */
const mostMs = 10_000

/**
 * Opens a session, over TLS and by SCRAM-SHA-256 alone: a server that asks for a password in another way, or for none, gets nothing. Rejects
 * with `upstream_unreachable`, `upstream_timed_out`, `upstream_failed` for a server that says no or that is not what it should be, or with the signal's
 * reason. The connection is then closed.
 */
export async function logIn(
  address: ServerAddress,
  { user, password, database, settings }: LogIn,
  { random, signal: given }: { random: RandomSource; signal?: AbortSignal },
): Promise<LoggedIn> {
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(new ServiceError('upstream_timed_out')), mostMs)
  const signal = given === undefined ? late.signal : AbortSignal.any([given, late.signal])
  const socket = await reach(address, signal).catch((error: unknown) => {
    clearTimeout(timer)
    throw error
  })
  const abort = () => socket.destroy()
  signal.addEventListener('abort', abort, { once: true })
  try {
    const wire = new Wire(socket)
    wire.send(startupMessage({ user, database, ...settings }))
    await authenticate(wire, password, random)
    return { socket, wire, parameters: await readGreeting(wire) }
  } catch (error) {
    socket.destroy()
    if (signal.aborted) throw signal.reason
    throw error instanceof ServiceError ? error : new ServiceError('upstream_failed', undefined, { cause: error })
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', abort)
  }
}

async function reach({ host, port, tls }: ServerAddress, signal: AbortSignal): Promise<Socket> {
  let socket: Socket | undefined
  try {
    signal.throwIfAborted()
    socket = connect({ host, port, noDelay: true, keepAlive: true })
    socket.on('error', () => undefined)
    await unlessAborted(once(socket, 'connect'), signal)
    if (tls === 'off') return socket
    socket.write(sslRequest)
    const [answer] = (await unlessAborted(once(socket, 'data'), signal)) as [Buffer]
    // An attacker in between could send bytes ahead, and they would be read as if they had come encrypted.
    if (answer.length !== 1 || answer[0] !== 0x53) throw new Error('the server offers no TLS')
    const name = /^[\d.]+$|:/.test(host) ? {} : { servername: host }
    const encrypted = secure({ socket, host, ...name, ...(tls.ca === undefined ? {} : { ca: tls.ca }) })
    encrypted.on('error', () => undefined)
    await unlessAborted(once(encrypted, 'secureConnect'), signal)
    return encrypted
  } catch (error) {
    socket?.destroy()
    if (signal.aborted) throw signal.reason
    throw new ServiceError('upstream_unreachable', 'the database', { cause: error })
  }
}

/** The numbers of the requests for a password (AuthenticationSASL and what follows). */
const [ok, sasl, saslContinue, saslFinal] = [0, 10, 11, 12]

async function authenticate(wire: Wire, password: string, random: RandomSource): Promise<void> {
  const scram = new ScramClient(password, random)
  const request = async (wanted: number): Promise<string> => {
    const { type, body } = refusing(await wire.next())
    if (type !== 'R' || body.length < 4 || body.readInt32BE(0) !== wanted)
      throw new Error('the server does not ask for the password by SCRAM-SHA-256')
    return body.toString('latin1', 4)
  }
  const mechanisms = (await request(sasl)).split('\0')
  if (!mechanisms.includes('SCRAM-SHA-256')) throw new Error('the server does not offer SCRAM-SHA-256')
  wire.send(saslInitial('SCRAM-SHA-256', scram.first()))
  wire.send(saslResponse(await scram.final(await request(saslContinue))))
  scram.verify(await request(saslFinal))
  await request(ok)
}

/** Up to ReadyForQuery. The key with which statements are cancelled stays here: the gateway cancels them in another way. */
async function readGreeting(wire: Wire): Promise<Buffer[]> {
  const parameters: Buffer[] = []
  for (;;) {
    const { type, body } = refusing(await wire.next())
    if (type === 'Z') return parameters
    if (type === 'S') parameters.push(body)
    if (!['S', 'K', 'N'].includes(type) || parameters.length > mostParameters)
      throw new Error('the server is not one of PostgreSQL')
  }
}

/** The server's message may hold secrets, so it becomes the cause, which never leaves the gateway. */
function refusing(message: ServerMessage): ServerMessage {
  if (message.type !== 'E') return message
  const fields = errorFields(message.body)
  throw new Error(`the server refuses: ${fields.get('C')} ${fields.get('M')}`)
}
