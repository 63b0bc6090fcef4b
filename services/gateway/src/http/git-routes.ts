import type { IncomingMessage } from 'node:http'
import { gatewayRoutes } from '@bailiwick/contracts/api'
import { ServiceError } from '@bailiwick/errors'
import { type HttpReply, type HttpRequest, type HttpServer, takeTime } from '@bailiwick/host'
import { refusal } from '@bailiwick/pep'
import {
  checkHead,
  clientGone,
  fieldOf,
  type RawHeaders,
  type Refused,
  requestOf,
  sendExecuted,
} from '@bailiwick/relay'
import { type GitCall, readGitCall } from '../git/git-action.ts'
import { deniedAnswer, failedAnswer, type GitAnswer, refusedAnswer } from '../git/git-answers.ts'
import type { GitServer } from '../git/git-server.ts'
import { Pack } from '../git/pack.ts'
import { nothing, readPushBytes, requestBytes, wholeOf } from '../git/request-bytes.ts'
import { asServiceError } from '../mcp/answers.ts'
import type { RouteOptions } from './decide-at.ts'
import { announcesBody, bodyUnread, mayBeSilent, never, refuseOrigin, versionFault } from './request-rules.ts'
import { describeResources, metadataUrlOf } from './resource-metadata.ts'

const { readFromGit, sendToGit, describeGit } = gatewayRoutes

/** The longest request of a fetch, in bytes: about 20,000 objects. */
const mostFetchBytes = 1024 * 1024
/** How much of a refused request is read and thrown away, in bytes and in ms: git reads no answer before it has sent what it began. */
const mostDrained = 8 * 1024 * 1024
const drainMs = 5000

/** How far a request was read. */
interface Reading {
  call: GitCall | undefined
  /** The request of a fetch, or the list of commands of a push. */
  body: Buffer
  /** Leaves the rest of the request to others, once what was begun is read. */
  stop: () => Promise<unknown>
}

/** `/git/<name>/<repository>`: smart HTTP of git, and the metadata of each server as a protected resource (RFC 9728). */
export function gitRoutes(
  http: HttpServer,
  server: (name: string) => GitServer | undefined,
  { publicUrl, issuer, origins }: RouteOptions,
): void {
  const { origin } = new URL(publicUrl)
  http.route({
    method: [readFromGit, sendToGit].map(({ method }) => method),
    url: readFromGit.path,
    exposeHeadRoute: false,
    config: { accepts: 'anything', handlerMs: never },
    /** All of it happens here: a body is read only as far as it must be to decide, and a pack only while it is sent on. */
    async onRequest(request, reply) {
      const asked: Reading = { call: undefined, body: Buffer.alloc(0), stop: async () => undefined }
      try {
        const own = await answer(request, reply, asked)
        if (own !== undefined) await send(request, reply, own, asked)
      } catch (error) {
        await send(request, reply, failedAnswer(asServiceError(error)), asked)
      }
      // The request of a client that left, too, goes no further.
      if (!reply.sent) reply.hijack()
      return reply
    },
    handler() {
      throw new ServiceError('invariant_broken', 'a request for git that was not answered')
    },
  })

  /** The gateway's own answer; undefined if the git server's was sent. */
  async function answer(request: HttpRequest, reply: HttpReply, asked: Reading): Promise<GitAnswer | undefined> {
    const { method = '', url = '' } = request.raw
    const refuse = (refused: Refused) => refusedAnswer(refused, asked)
    const old = versionFault(request.raw)
    if (old !== undefined) return refuse(old)
    refuseOrigin(request, new Set([origin, ...origins()]))
    const { rawHeaders, isZipped } = withoutCodings(request.raw.rawHeaders)
    const head = checkHead({ method, target: url, rawHeaders }, publicUrl)
    if ('refused' in head) return refuse(head)
    const [, name = '', target = ''] = /^\/git\/([a-z0-9][a-z0-9_-]*)(\/.*)$/.exec(url) ?? []
    const found = server(name)
    if (found === undefined) return refuse({ refused: 'route_unknown', detail: 'the git server' })
    const metadataUrl = metadataUrlOf(found.address)
    if ('ok' in head) return deniedAnswer(refusal(head.reason), asked, metadataUrl)
    const call = readGitCall(found.entry, method, target)
    if ('refused' in call) return refuse(call)
    asked.call = call
    // Nothing is read for a request that could not be allowed.
    const { credential } = head.caller
    const early = credential === undefined ? refusal('credential_missing') : found.audienceFault(credential)
    if (early !== undefined) return deniedAnswer(early, asked, metadataUrl)
    const read = await readBody(request.raw, asked, { call, isZipped, mostPushBytes: found.entry.most_push_bytes })
    if (read.refused !== undefined) return refuse(read.refused)
    if (isProbe(asked, read)) {
      // Nothing was done for its caller, verified or not. The push behind it must not wait for strangers of the same network.
      request.callerVerified()
      return emptyAnswer(call)
    }
    const gone = clientGone(reply.raw)
    // The server may say nothing for minutes while it unpacks a push or counts objects, and a pack may take as long as its call.
    mayBeSilent(request, reply)
    reply.raw.once('close', takeTime(request.raw.socket))
    const sent = requestOf({ ...head, target }, asked.body)
    const { pack } = read
    const relayed = await found.call(sent, head.caller, gone, pack).catch((error: unknown) => {
      throw pack?.fault ?? error
    })
    if ('refused' in relayed) return refuse(relayed)
    if (!relayed.allowed) return deniedAnswer(relayed, asked, metadataUrl)
    request.callerVerified()
    // A server may begin its answer before it has the pack, and git reads nothing before it has sent it.
    if (pack !== undefined) await Promise.race([pack.ended, relayed.over])
    if (pack?.fault !== undefined) {
      await relayed.executed.body[Symbol.asyncIterator]().return?.()
      throw pack.fault
    }
    // No cache may keep it: the next answer needs its own decision.
    const headers = [...relayed.executed.headers, 'cache-control', 'no-store', 'x-request-id', request.id]
    reply.hijack()
    await sendExecuted(reply.raw, { ...relayed, executed: { ...relayed.executed, headers } })
    return undefined
  }

  describeResources(http, describeGit.path, issuer, server)
}

interface ReadBody {
  readonly refused?: Refused | undefined
  readonly pack?: Pack | undefined
}

async function readBody(
  incoming: IncomingMessage,
  asked: Reading,
  { call, isZipped, mostPushBytes }: { call: GitCall; isZipped: boolean; mostPushBytes: number },
): Promise<ReadBody> {
  if (call.isAdvertisement) return announcesBody(incoming.rawHeaders) ? { refused: bodyUnread } : {}
  const isPush = call.service === 'git-receive-pack'
  const source = requestBytes(incoming, { isZipped, mostBytes: isPush ? mostPushBytes : mostFetchBytes })
  asked.stop = () => source.return(undefined)
  try {
    if (!isPush) {
      asked.body = await wholeOf(source)
      return {}
    }
    const { commands, pack, refused } = await readPushBytes(source)
    asked.body = commands
    return { refused, pack: pack && new Pack(pack) }
  } catch (error) {
    if (error instanceof ServiceError) return { refused: { refused: error.code, detail: error.detail ?? 'the body' } }
    throw error
  }
}

/** Before a long request, git sends an empty one to check its credential. It has no effect, so there is nothing to decide. */
const isProbe = ({ call, body }: Reading, { pack }: ReadBody) =>
  call?.isAdvertisement === false && pack === undefined && body.equals(nothing)

const emptyAnswer = ({ service }: GitCall): GitAnswer => ({
  status: 200,
  headers: { 'content-type': `application/x-${service}-result` },
  body: Buffer.alloc(0),
})

/**
 * The fields without the two that are dealt with here, if each comes once: the body is unzipped before it is read, and Node has told the
 * client to continue. The gate refuses both everywhere else.
 */
function withoutCodings(rawHeaders: RawHeaders): { rawHeaders: RawHeaders; isZipped: boolean } {
  const isOnly = (name: string, value: string) =>
    rawHeaders.filter((text, n) => n % 2 === 0 && text.toLowerCase() === name).length === 1 &&
    fieldOf(rawHeaders, name)?.toLowerCase() === value
  const [isZipped, isExpecting] = [isOnly('content-encoding', 'gzip'), isOnly('expect', '100-continue')]
  const taken = new Set([...(isZipped ? ['content-encoding'] : []), ...(isExpecting ? ['expect'] : [])])
  const kept = rawHeaders.filter((_, n) => !taken.has((rawHeaders[n - (n % 2)] ?? '').toLowerCase()))
  return { rawHeaders: kept, isZipped }
}

async function send(
  request: HttpRequest,
  reply: HttpReply,
  { status, headers, body }: GitAnswer,
  { stop }: Reading,
): Promise<void> {
  const { raw } = reply
  if (raw.headersSent || raw.destroyed) {
    raw.destroy()
    return
  }
  const isWhole = await drained(request.raw, stop)
  // Through the hooks, as any other route: they slow down strangers.
  await reply
    .code(status)
    .headers({ ...headers, ...(isWhole ? {} : { connection: 'close' }) })
    .send(body)
}

/** Whether the whole request was read. If its rest stayed unread, the connection would be reset, and the answer could be lost. */
async function drained(incoming: IncomingMessage, stop: Reading['stop']): Promise<boolean> {
  const stopped = stop().catch(() => undefined)
  if (incoming.complete || incoming.destroyed) return incoming.complete
  return new Promise((resolve) => {
    let length = 0
    const end = () => {
      clearTimeout(timer)
      incoming.off('data', take)
      resolve(incoming.complete)
    }
    const take = (chunk: Buffer) => {
      length += chunk.length
      if (length > mostDrained) end()
    }
    const timer = setTimeout(end, drainMs)
    incoming.once('end', end).once('close', end).on('data', take)
    void stopped.then(() => incoming.resume())
  })
}
