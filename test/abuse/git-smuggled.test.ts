import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  type Attack,
  app,
  chunked,
  emptyPack,
  flush,
  GitAttacker,
  list,
  none,
  own,
  packet,
  plus,
  pushType,
  replaced,
  usual,
} from './git-attacks.ts'

/*
 * Requests to a git server that ask for something that the grant allows in one reading, and for something that it does not allow in another:
 * a push to a branch that is not the agent's own, a second push, a push in a fetch, a repository by another name. The server is real git. No
 * such request may reach it.
 */

let attacker: GitAttacker
beforeAll(async () => {
  attacker = await GitAttacker.open()
})
afterAll(() => attacker?.[Symbol.asyncDispose]())
beforeEach(() => {
  attacker.at.backend.arrived.length = 0
})
const attack = (made: Attack) => attacker.attack(made)
const onServer = (ref: string) => attacker.onServer(ref)
const command: GitAttacker['command'] = (...args) => attacker.command(...args)
const push: GitAttacker['push'] = (...args) => attacker.push(...args)
const posted = () => attacker.at.backend.posted('git-receive-pack')

describe('the control: without an attack the same push reaches the server once, byte for byte', () => {
  const line = (ref: string) => Buffer.concat([list(`${command(ref)}\n`), emptyPack])
  it.each<[string, string, (bytes: Buffer) => Attack, typeof push]>([
    ['as it is', 'refs/heads/agent/a', (body) => ({ body }), push],
    ['in chunks', 'refs/heads/agent/b', (body) => chunked(body.subarray(0, 30), body.subarray(30)), push],
    [
      'zipped',
      'refs/heads/agent/c',
      (body) => ({ body: gzipSync(body), fields: plus('Content-Encoding: gzip') }),
      push,
    ],
    [
      'after asking to continue',
      'refs/heads/agent/d',
      (body) => ({ body, fields: plus('Expect: 100-continue') }),
      push,
    ],
    ['with a line end', 'refs/heads/agent/e', (body) => ({ body }), line as typeof push],
  ])('%s', async (_, ref, made, write) => {
    const { status, denied, body } = await attack(made(write(ref)))
    const shown = expect.stringContaining(`ok ${ref}`)
    expect({ status, denied, body }).toEqual({ status: 200, denied: undefined, body: shown })
    expect(posted().map((arrived) => arrived.body)).toEqual([write(ref)])
    expect(await onServer(ref)).toBe(attacker.commit)
  })

  it('a fetch is answered', async () => {
    const body = Buffer.concat([
      packet('command=ls-refs'),
      Buffer.from('0001'),
      packet('ref-prefix refs/heads/'),
      flush,
    ])
    const asked = { target: `${app}/git-upload-pack`, body, fields: plus('Git-Protocol: version=2') }
    expect(await attack(asked)).toMatchObject({
      status: 200,
      arrived: 1,
      body: expect.stringContaining('refs/heads/main'),
    })
  })
})

describe.each<[string, string | undefined, () => Attack]>([
  // Another ref, in another spelling
  ['another branch', 'argument_out_of_bounds', () => ({ body: push('refs/heads/main') })],
  ['its own folder in capitals', 'argument_out_of_bounds', () => ({ body: push('refs/heads/AGENT/x') })],
  ['a branch that begins like its own folder', 'argument_out_of_bounds', () => ({ body: push('refs/heads/agents') })],
  ['its own folder as a branch', 'argument_out_of_bounds', () => ({ body: push('refs/heads/agent') })],
  ['a tag of that name', 'argument_out_of_bounds', () => ({ body: push('refs/tags/agent/x') })],
  ['out of its folder', 'git_ref_refused', () => ({ body: push('refs/heads/agent/../main') })],
  ['out of it with an escape', 'git_ref_refused', () => ({ body: push('refs/heads/agent/%2e%2e/main') })],
  ['out of it with a backslash', 'git_ref_refused', () => ({ body: push('refs/heads/agent\\..\\main') })],
  ['a ref by its short name', 'git_ref_refused', () => ({ body: push('agent/x') })],
  ['HEAD', 'git_ref_refused', () => ({ body: push('HEAD') })],
  [
    'a line end, and another command after it',
    'git_request_malformed',
    () => ({ body: push(`${own}\n${none} ${attacker.commit} refs/heads/main`) }),
  ],
  ['a second NUL', 'git_request_malformed', () => ({ body: push(`refs/heads/main\0${own}`) })],
  ['bytes beyond ASCII', 'git_request_malformed', () => ({ body: push('refs/heads/agent/\u00e9') })],
  // More than one push
  [
    'two refs, of which one is its own',
    'git_feature_refused',
    () => ({ body: Buffer.concat([list(command(), `${none} ${attacker.commit} refs/heads/main`), emptyPack]) }),
  ],
  [
    'one ref twice',
    'git_feature_refused',
    () => ({ body: Buffer.concat([list(command(), `${none} ${attacker.commit} ${own}`), emptyPack]) }),
  ],
  [
    'a second list in place of the pack',
    'git_request_malformed',
    () => ({ body: Buffer.concat([list(command()), push('refs/heads/main')]) }),
  ],
  [
    'a second list behind an empty one',
    'git_request_malformed',
    () => ({ body: Buffer.concat([flush, push('refs/heads/main')]) }),
  ],
  [
    'a command behind the end',
    'git_request_malformed',
    () => ({ body: Buffer.concat([list(command()), packet(`${none} ${attacker.commit} refs/heads/main`)]) }),
  ],
  [
    'a pack that is none',
    'git_request_malformed',
    () => ({ body: Buffer.concat([list(command()), Buffer.from('KCAP\0\0\0\x02')]) }),
  ],
  [
    'a pack of a version that does not exist',
    'git_request_malformed',
    () => ({ body: Buffer.concat([list(command()), Buffer.from('PACK\0\0\0\x09\0\0\0\0')]) }),
  ],
  [
    'a list of options',
    'git_feature_refused',
    () => ({
      body: Buffer.concat([list(command(own, { capabilities: `${usual} push-options` })), list('ci.skip'), emptyPack]),
    }),
  ],
  [
    'a list of options that was not announced',
    'git_request_malformed',
    () => ({ body: Buffer.concat([list(command()), list('ci.skip'), emptyPack]) }),
  ],
  [
    'a certificate that names another ref',
    'git_feature_refused',
    () => ({
      body: Buffer.concat([
        list(
          `push-cert\0 ${usual}\n`,
          'certificate version 0.1\n',
          `${none} ${attacker.commit} ${own}\n`,
          'push-cert-end\n',
        ),
        emptyPack,
      ]),
    }),
  ],
  [
    'a certificate after the command',
    'git_request_malformed',
    () => ({ body: Buffer.concat([list(command(), `push-cert\0 ${usual}\n`), emptyPack]) }),
  ],
  // Deleting
  [
    'to delete another branch',
    'action_not_granted',
    () => ({ body: list(command('refs/heads/main', { from: attacker.commit, to: none })) }),
  ],
  [
    'to delete its own',
    'action_not_granted',
    () => ({ body: list(command('refs/heads/agent/kept', { from: attacker.commit, to: none })) }),
  ],
  [
    'to delete with a pack',
    'git_request_malformed',
    () => ({ body: push('refs/heads/agent/kept', { from: attacker.commit, to: none }) }),
  ],
  [
    'to delete beside a push',
    'git_feature_refused',
    () => ({ body: Buffer.concat([list(command(), `${attacker.commit} ${none} refs/heads/agent/kept`), emptyPack]) }),
  ],
  // Lengths
  [
    'a length that is too long',
    'git_request_malformed',
    () => ({ body: Buffer.concat([Buffer.from('00ff'), push().subarray(4)]) }),
  ],
  [
    'a length that is too short',
    'git_request_malformed',
    () => ({ body: Buffer.concat([Buffer.from('0010'), push().subarray(4)]) }),
  ],
  ['a length of three', 'git_request_malformed', () => ({ body: Buffer.concat([Buffer.from('0003'), push()]) })],
  [
    'a length in capitals',
    'git_request_malformed',
    () => ({ body: Buffer.concat([Buffer.from('000A123456'), push()]) }),
  ],
  [
    'a length with spaces',
    'git_request_malformed',
    () => ({ body: Buffer.concat([Buffer.from('  99'), push().subarray(4)]) }),
  ],
  [
    'a delimiter',
    'git_request_malformed',
    () => ({ body: Buffer.concat([packet(command()), Buffer.from('0001'), flush, emptyPack]) }),
  ],
  ['no end', 'git_request_malformed', () => ({ body: packet(command()) })],
  ['nothing', 'git_request_malformed', () => ({ body: Buffer.alloc(0) })],
  ['nothing, and a pack', 'git_request_malformed', () => ({ body: Buffer.concat([flush, emptyPack]) })],
  [
    '100 KB of commands',
    'git_request_malformed',
    () => ({ body: list(...Array.from({ length: 2000 }, () => `shallow ${attacker.commit}\n`), command()) }),
  ],
  [
    'a gigabyte of commands, announced',
    'git_request_malformed',
    () => ({
      body: list(...Array.from({ length: 2000 }, () => `shallow ${attacker.commit}\n`)),
      fields: replaced('content-length', 'Content-Length: 1073741824'),
    }),
  ],
  // Codings
  [
    'a zipped push to another branch',
    'argument_out_of_bounds',
    () => ({ body: gzipSync(push('refs/heads/main')), fields: plus('Content-Encoding: gzip') }),
  ],
  [
    'a push that only says that it is zipped',
    'request_malformed',
    () => ({ body: push(), fields: plus('Content-Encoding: gzip') }),
  ],
  ['a zipped push that does not say so', 'git_request_malformed', () => ({ body: gzipSync(push()) })],
  [
    'zipped twice',
    'header_repeated',
    () => ({ body: gzipSync(push()), fields: plus('Content-Encoding: gzip', 'Content-Encoding: gzip') }),
  ],
  ['another coding', 'content_encoding_forbidden', () => ({ body: push(), fields: plus('Content-Encoding: deflate') })],
  [
    'two codings',
    'content_encoding_forbidden',
    () => ({ body: push(), fields: plus('Content-Encoding: gzip, identity') }),
  ],
  [
    'zeros, a thousand times smaller',
    'git_request_malformed',
    () => ({ body: gzipSync(Buffer.alloc(64 * 1024 * 1024)), fields: plus('Content-Encoding: gzip') }),
  ],
  [
    'commands, a hundred times smaller',
    'git_request_malformed',
    () => ({
      body: gzipSync(list(...Array.from({ length: 40_000 }, () => `shallow ${attacker.commit}\n`), command())),
      fields: plus('Content-Encoding: gzip'),
    }),
  ],
  ['another expectation', undefined, () => ({ body: push(), fields: plus('Expect: 200-ok') })],
  ['both lengths', undefined, () => ({ body: push(), fields: plus('Transfer-Encoding: chunked') })],
  // Services
  [
    'a fetch where pushes go',
    'git_request_malformed',
    () => ({ body: Buffer.concat([packet(`want ${attacker.commit} side-band-64k`), flush, packet('done')]) }),
  ],
  ['a push where fetches go', 'git_request_malformed', () => ({ target: `${app}/git-upload-pack`, body: push() })],
  [
    'a push of the media type of a fetch',
    'content_type_unsupported',
    () => ({ body: push(), type: 'application/x-git-upload-pack-request' }),
  ],
  ['a push of no media type', 'content_type_unsupported', () => ({ body: push(), fields: replaced('content-type') })],
  [
    'a push with a query',
    'git_service_unknown',
    () => ({ target: `${app}/git-receive-pack?service=git-upload-pack`, body: push(), type: pushType }),
  ],
  ['a push by GET', 'git_service_unknown', () => ({ method: 'GET', target: `${app}/git-receive-pack` })],
  [
    'an archive',
    'git_service_unknown',
    () => ({ method: 'GET', target: `${app}/info/refs?service=git-upload-archive` }),
  ],
  [
    'two services',
    'query_name_repeated',
    () => ({ method: 'GET', target: `${app}/info/refs?service=git-upload-pack&service=git-receive-pack` }),
  ],
  ['refs of the dumb protocol', 'git_service_unknown', () => ({ method: 'GET', target: `${app}/info/refs` })],
  ['HEAD of the dumb protocol', 'git_service_unknown', () => ({ method: 'GET', target: `${app}/HEAD` })],
  [
    'an object of the dumb protocol',
    'git_service_unknown',
    () => ({ method: 'GET', target: `${app}/objects/${'a'.repeat(2)}/${'b'.repeat(38)}` }),
  ],
  ['its configuration', 'git_service_unknown', () => ({ method: 'GET', target: `${app}/config` })],
  [
    'large files',
    'git_service_unknown',
    () => ({ target: `${app}/info/lfs/objects/batch`, body: Buffer.from('{}'), type: 'application/json' }),
  ],
  [
    'a body before a push',
    'request_malformed',
    () => ({ method: 'GET', target: `${app}/info/refs?service=git-receive-pack`, body: push(), type: pushType }),
  ],
  // The version
  [
    'two versions in one field',
    'git_feature_refused',
    () => ({
      method: 'GET',
      target: `${app}/info/refs?service=git-upload-pack`,
      fields: plus('Git-Protocol: version=2:version=0'),
    }),
  ],
  [
    'two fields of the version',
    'header_repeated',
    () => ({
      method: 'GET',
      target: `${app}/info/refs?service=git-upload-pack`,
      fields: plus('Git-Protocol: version=2', 'Git-Protocol: version=0'),
    }),
  ],
  [
    'a second command in a fetch',
    'git_feature_refused',
    () => ({
      target: `${app}/git-upload-pack`,
      body: Buffer.concat([packet('command=ls-refs'), flush, packet('command=ls-refs'), flush]),
      fields: plus('Git-Protocol: version=2'),
    }),
  ],
  [
    'an option for the server in a fetch',
    'git_feature_refused',
    () => ({
      target: `${app}/git-upload-pack`,
      body: Buffer.concat([packet('command=ls-refs'), packet('server-option=x'), flush]),
      fields: plus('Git-Protocol: version=2'),
    }),
  ],
  // The repository
  [
    'another repository',
    'argument_out_of_bounds',
    () => ({ target: '/git/forge/team/other.git/git-receive-pack', body: push() }),
  ],
  [
    'the repository without its ending',
    'argument_out_of_bounds',
    () => ({ target: '/git/forge/team/app/git-receive-pack', body: push() }),
  ],
  [
    'the repository in capitals',
    'argument_out_of_bounds',
    () => ({ target: '/git/forge/team/APP.git/git-receive-pack', body: push() }),
  ],
  [
    'a service in the place of a repository',
    'argument_out_of_bounds',
    () => ({ target: `${app}/git-receive-pack/git-receive-pack`, body: push() }),
  ],
  [
    'dots in the path',
    'path_segment_dots',
    () => ({ target: '/git/forge/team/../team/app.git/git-receive-pack', body: push() }),
  ],
  [
    'escaped dots',
    'path_escape_forbidden',
    () => ({ target: '/git/forge/team/%2E%2E/team/app.git/git-receive-pack', body: push() }),
  ],
  ['two slashes', 'path_segment_empty', () => ({ target: '/git/forge/team//app.git/git-receive-pack', body: push() })],
  [
    'an escape of a letter',
    'path_escape_needless',
    () => ({ target: '/git/forge/team/%61pp.git/git-receive-pack', body: push() }),
  ],
  ['a folder that hides', 'git_service_unknown', () => ({ target: '/git/forge/.git/git-receive-pack', body: push() })],
  [
    'a user in the path',
    'git_service_unknown',
    () => ({ target: '/git/forge/~root/app.git/git-receive-pack', body: push() }),
  ],
  [
    'a server that is not there',
    'route_unknown',
    () => ({ target: '/git/other/team/app.git/git-receive-pack', body: push() }),
  ],
  // The caller
  [
    'no credential',
    'credential_missing',
    () => ({ body: push(), fields: (fields) => fields.filter((line) => !/^(authorization|dpop):/i.test(line)) }),
  ],
  [
    'a password, as git sends it',
    'proof_missing',
    () => ({
      body: push(),
      fields: (fields) => [
        ...fields.filter((line) => !/^(authorization|dpop):/i.test(line)),
        'Authorization: Basic eDp5',
      ],
    }),
  ],
  ['a web page', undefined, () => ({ body: push(), fields: plus('Origin: https://evil.example') })],
])('%s', (_, denied, made) => {
  it(`reaches nothing: ${denied ?? 'refused'}`, async () => {
    const { status, body, ...seen } = await attack(made())
    expect(seen).toEqual({ denied: denied ?? seen.denied, arrived: 0 })
    // Of a push that git sent, git reads the reason in an answer of its own.
    expect(status === 200 ? body : 'ng ').toMatch(/ng |ERR /)
    expect(await onServer('refs/heads/main')).toBe(attacker.commit)
    expect(await onServer('refs/heads/agent/kept')).toBe(attacker.commit)
    expect(await onServer(own)).toBe('')
  })
})
