import type { Action } from '@bailiwick/credentials'
import { sha256 } from '@bailiwick/credentials'
import { fieldOf, type Refused, type RelayRequest } from '@bailiwick/relay'
import { readFetchRequest } from './fetch-request.ts'
import { type GitEntry, isRepository } from './git-entry.ts'
import { isZero, readPushCommands } from './push-commands.ts'

export type Service = 'git-upload-pack' | 'git-receive-pack'

/** What a request of smart HTTP is for (gitprotocol-http), by its method and target alone. */
export interface GitCall {
  readonly repository: string
  readonly service: Service
  /** Whether it asks what the repository has, before a fetch or a push. */
  readonly isAdvertisement: boolean
}

const target =
  /^\/(.+?)\/(?:info\/refs\?service=(git-upload-pack|git-receive-pack)|(git-upload-pack|git-receive-pack))$/

/** Reads the target below the server's address. Files of the dumb protocol, LFS and every other path are refused. */
export function readGitCall({ repositories }: GitEntry, method: string, text: string): GitCall | Refused {
  const [, repository = '', advertised, called] = target.exec(text) ?? []
  const service = (advertised ?? called) as Service | undefined
  const unknown = (detail: string): Refused => ({ refused: 'git_service_unknown', detail })
  if (service === undefined) return unknown('the path')
  if (method !== (called === undefined ? 'GET' : 'POST')) return unknown('the method')
  if (!isRepository(repository)) return unknown('the repository')
  if (repositories !== undefined && !repositories.includes(repository)) return unknown('the repository')
  return { repository, service, isAdvertisement: called === undefined }
}

/** The version of the protocol that a request to `git-upload-pack` asks for; undefined if the field says anything else. */
function versionOf({ headers }: Pick<RelayRequest, 'headers'>): '0' | '1' | '2' | undefined {
  const field = fieldOf(headers, 'git-protocol')
  if (field === undefined) return '0'
  const [, version] = /^version=([012])$/.exec(field) ?? []
  return version as '0' | '1' | '2' | undefined
}

/**
 * The action of a request to a git server: a call of its tool `read`, `push` or `delete`. The body of a push is its list of commands. The pack
 * follows it and is no part of the action: `new` names its content, since an object's id is the hash of all that it leads to.
 */
export function gitAction(server: string, entry: GitEntry, request: RelayRequest): Action | Refused {
  const call = readGitCall(entry, request.method, request.target)
  if ('refused' in call) return call
  const { repository, service, isAdvertisement } = call
  const body = Buffer.from(request.body.buffer, request.body.byteOffset, request.body.length)
  const version = versionOf(request)
  const on = (tool: string, properties: object): Action => ({
    name: 'tools/call',
    properties: { repository, ...properties },
    resource: { type: 'tool', id: `${server}/${tool}` },
  })
  if (version === undefined) return { refused: 'git_feature_refused', detail: 'Git-Protocol' }
  if (isAdvertisement) {
    if (body.length > 0) return { refused: 'request_malformed', detail: 'a body that the method does not have' }
    return on('read', { service, command: 'advertise', ...(service === 'git-upload-pack' ? { version } : {}) })
  }
  const type = fieldOf(request.headers, 'content-type')
  if (type !== `application/x-${service}-request`)
    return { refused: 'content_type_unsupported', detail: 'a git request' }
  const body_sha256 = sha256(body)
  if (service === 'git-upload-pack') {
    const command = readFetchRequest(body, version)
    return typeof command === 'string' ? on('read', { service, command, version, body_sha256 }) : command
  }
  const push = readPushCommands(body)
  if ('refused' in push) return push
  const [command, ...others] = push.commands
  if (command === undefined || others.length > 0)
    return { refused: 'git_feature_refused', detail: 'several refs in one push' }
  const { ref, old, new: next } = command
  const common = { ref, old, commands_sha256: body_sha256 }
  if (isZero(next)) return on('delete', common)
  return on('push', { ...common, new: next, creates: isZero(old) })
}
