import crypto from 'node:crypto'
import { appendFileSync, readFileSync, renameSync } from 'node:fs'
import { ServerResponse } from 'node:http'
import { syncBuiltinESMExports } from 'node:module'

// Loaded before a service that is to be killed between two steps of minting, or of a decision and its settlement (`node --import`).
// It changes nothing of the service; it looks on at what the service signs and answers, and at the step that it was told makes the
// process stand still, until it is killed.

/** A step, and which side of it: `after` a delay, as well, in ms, so that the work that the step began is under way. */
export interface Place {
  step: Step
  side: 'before' | 'after'
  delayMs?: number
}
export type Step = EventStep | 'sign' | 'answer'
type EventStep = 'credential.intended' | 'credential.issued' | 'decision.allowed' | 'outcome.reported'

/** Files of the folder by which the test and the process speak. */
export const files = { armed: 'armed.json', reached: 'reached.json', signatures: 'signatures.txt' } as const

/** The environment of a process that looks on, and speaks with the test by this folder. */
export const dyingAt = (at: string) => ({ NODE_OPTIONS: `--import ${import.meta.url}`, DIE_AT: at })

const folder = process.env.DIE_AT
if (folder !== undefined) lookOn(folder)

function lookOn(at: string): void {
  const meet = (step: Step, side: Place['side']) => {
    const place = armed(at)
    if (place?.step !== step || place.side !== side) return
    if (place.delayMs === undefined) standStill(at)
    else setTimeout(() => standStill(at), place.delayMs)
  }
  const { sign } = crypto
  const looking = (...given: Parameters<typeof sign>) => {
    const [, data] = given
    const text = Buffer.from(data as Uint8Array).toString('latin1')
    const step = stepOf(text)
    if (step) meet(step, 'before')
    const signature = sign(...given)
    if (step === 'sign') appendFileSync(`${at}/${files.signatures}`, `${jtiOf(text)}\n`)
    if (step) meet(step, 'after')
    return signature
  }
  Object.assign(crypto, { sign: looking })
  syncBuiltinESMExports()
  const { writeHead } = ServerResponse.prototype
  ServerResponse.prototype.writeHead = function (this: ServerResponse, ...given: Parameters<typeof writeHead>) {
    if (given[0] === 200 && this.req.url === '/oauth/token') meet('answer', 'before')
    return writeHead.apply(this, given)
  } as typeof writeHead
}

/** What is signed says which step it is: a token by its header, an event by its type. */
function stepOf(signed: string): Step | undefined {
  const [head = '', body = ''] = signed.split('.')
  const headed = decoded(head)
  if (headed.includes('"typ":"at+jwt"')) return 'sign'
  const [, type] =
    /"type":"(credential\.(?:intended|issued)|decision\.allowed|outcome\.reported)"/.exec(decoded(body)) ?? []
  return type as Step | undefined
}

const decoded = (part: string): string => Buffer.from(part, 'base64url').toString()
const jtiOf = (signed: string): string => (JSON.parse(decoded(signed.split('.')[1] ?? '')) as { jti: string }).jti

function armed(at: string): Place | undefined {
  try {
    return JSON.parse(readFileSync(`${at}/${files.armed}`, 'utf8')) as Place
  } catch {
    return undefined
  }
}

/** All threads, the one that writes to the disk too: what is under way stays so until SIGKILL. */
function standStill(at: string): never {
  renameSync(`${at}/${files.armed}`, `${at}/${files.reached}`)
  process.kill(process.pid, 'SIGSTOP')
  for (;;);
}
