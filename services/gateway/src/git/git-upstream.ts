import { ServiceError } from '@bailiwick/errors'
import type { Permitted } from '@bailiwick/pep'
import { bodyOf, type Executed, fieldOf, type RawHeaders, type RelayRequest, type Upstream } from '@bailiwick/relay'
import { whole } from '../servers/channel.ts'
import type { HttpSender } from '../servers/http-sender.ts'
import { type GitCall, gitAction, readGitCall } from './git-action.ts'
import type { GitEntry } from './git-entry.ts'
import { readPushCommands } from './push-commands.ts'
import { PushReport } from './push-report.ts'

export interface GitUpstreamOptions {
  /** The tool server's name in the registry. */
  server: string
  entry: GitEntry
  sender: Pick<HttpSender, 'send'>
  /** The pack of a push. It is read only while it is sent. */
  pack?: AsyncIterable<Uint8Array> | undefined
}

/** They concern the credential of the gateway: the server refuses it, or it may do less than the grant. Their bodies may quote parts of it. */
const ofTheKey: ReadonlySet<number> = new Set([401, 403, 407])

/** A git server as the upstream of a relay, for one request: it sends the commands that were decided on, and the pack after them. */
export function gitUpstream({ server, entry, sender, pack }: GitUpstreamOptions): Upstream {
  return {
    toAction: (request) => gitAction(server, entry, request),
    async execute({ signal }: Permitted, request): Promise<Executed> {
      const call = readGitCall(entry, request.method, request.target)
      if ('refused' in call) throw new ServiceError('invariant_broken', 'a request without an action')
      const { method, target, body } = request
      const type = answerTypeOf(call)
      const answered = await sender.send(
        { method, headers: fieldsOf(call, request, type), body, below: target, following: pack },
        signal,
      )
      const giveUp = (error: ServiceError) => {
        void answered.body.return?.()
        return error
      }
      const { status } = answered
      if (ofTheKey.has(status))
        throw giveUp(
          new ServiceError('upstream_failed', 'the git server does not accept the credential of the gateway'),
        )
      if (status !== 200) {
        void answered.body.return?.()
        return plain(status, `The git server answered ${status}.\n`)
      }
      // An answer of the dumb protocol, or a page for people.
      if (fieldOf(answered.headers, 'content-type') !== type)
        throw giveUp(new ServiceError('upstream_failed', 'the answer is not of the smart protocol'))
      return { status, headers: ['content-type', type], ...watched(call, request, answered.body) }
    },
    async [Symbol.asyncDispose]() {
      // Its sender belongs to the server, and ends with it.
    },
  }
}

const answerTypeOf = ({ service, isAdvertisement }: GitCall) =>
  `application/x-${service}-${isAdvertisement ? 'advertisement' : 'result'}`

/** Of the client's own fields, only the version of the protocol is sent on: it is part of the action. Some servers look for `git/` in an agent's name. */
function fieldsOf({ service, isAdvertisement }: GitCall, { headers }: RelayRequest, type: string): RawHeaders {
  const version = fieldOf(headers, 'git-protocol')
  return [
    ...['user-agent', 'git/bailiwick', 'accept', type],
    ...(isAdvertisement ? [] : ['content-type', `application/x-${service}-request`]),
    ...(service === 'git-upload-pack' && version !== undefined ? ['git-protocol', version] : []),
  ]
}

/** The answer, and whether it says that it failed. */
function watched(
  { service, isAdvertisement }: GitCall,
  { body }: RelayRequest,
  source: AsyncIterableIterator<Uint8Array>,
): Pick<Executed, 'body' | 'failed'> {
  if (service === 'git-receive-pack' && !isAdvertisement) {
    const push = readPushCommands(Buffer.from(body.buffer, body.byteOffset, body.length))
    const report = new PushReport('refused' in push ? [] : push.capabilities)
    return { body: seen(source, (chunk) => report.see(chunk)), failed: () => report.failed() }
  }
  let begun = Buffer.alloc(0)
  const see = (chunk: Uint8Array) => {
    if (begun.length < 8) begun = Buffer.concat([begun, chunk.subarray(0, 8)])
  }
  return { body: seen(source, see), failed: () => begun.toString('latin1', 4, 8) === 'ERR ' }
}

function seen(source: AsyncIterableIterator<Uint8Array>, see: (chunk: Uint8Array) => void) {
  const next = async () => {
    const read = await source.next()
    if (!read.done) see(read.value)
    return read
  }
  return bodyOf(next, () => source.return?.())
}

const plain = (status: number, text: string): Executed => ({
  status,
  headers: ['content-type', 'text/plain; charset=utf-8'],
  body: whole(Buffer.from(text)),
})
