import { openSecrets, type RelayRequest } from '@bailiwick/relay'
import { type UpstreamUnderTest, upstreamContract } from '@bailiwick/relay/contract'
import { type Arrived, chunk, chunkedHead, RawServer, whole } from '@bailiwick/relay/raw-server'
import { describe, expect, it } from 'vitest'
import { HttpSender } from '../servers/http-sender.ts'
import { gitEntry } from './git-entry.ts'
import { gitUpstream } from './git-upstream.ts'
import { flushPacket, packetOf } from './pkt-line.ts'
import { PushReport } from './push-report.ts'

const secret = 'ghp-0123456789abcdefghij'
const [none, one] = ['0'.repeat(40), '1'.repeat(40)]
const report = (...lines: string[]) => Buffer.concat([...lines.map((line) => packetOf(`${line}\n`)), flushPacket])

function push(repository: string, n = 1): RelayRequest {
  const next = n.toString(16).padStart(40, 'a')
  const command = packetOf(`${none} ${next} refs/heads/agent/x\0 report-status`)
  return {
    method: 'POST',
    target: `/team/${repository}/git-receive-pack`,
    headers: ['Content-Type', 'application/x-git-receive-pack-request', 'Accept', '*/*'],
    body: Buffer.concat([command, flushPacket]),
  }
}

const advertised: RelayRequest = {
  method: 'GET',
  target: '/team/flowing.git/info/refs?service=git-upload-pack',
  headers: ['Git-Protocol', 'version=2'],
  body: Buffer.alloc(0),
}

function answer({ target, socket }: Arrived): void {
  const type = 'content-type: application/x-git-receive-pack-result\r\n'
  if (target.includes('/app.git')) socket.write(whole(report('unpack ok', 'ok refs/heads/agent/x').toString(), type))
  else if (target.includes('/refused.git'))
    socket.write(whole(report('unpack ok', 'ng refs/heads/agent/x hook').toString(), type))
  else if (target.includes('/page.git')) socket.write(whole('<form>', 'content-type: text/html\r\n'))
  else if (target.includes('/broken.git')) socket.destroy()
  else if (target.includes('/flowing.git')) {
    socket.write(chunkedHead('application/x-git-upload-pack-advertisement'))
    const timer = setInterval(() => socket.write(chunk('0009tick\n')), 5)
    socket.on('close', () => clearInterval(timer))
  }
}

async function open(): Promise<UpstreamUnderTest & { server: RawServer; sender: HttpSender }> {
  const server = await RawServer.start(answer)
  const entry = gitEntry.parse({
    url: `${server.url}/git/`,
    inject: { headers: { authorization: `Bearer \${secret:env:KEY}` } },
  })
  const secrets = openSecrets({ env: { KEY: secret } })
  const sender = new HttpSender({
    url: entry.url,
    inject: entry.inject.headers,
    secrets,
    isPrivate: false,
    headMs: 60_000,
  })
  return {
    upstream: gitUpstream({ server: 'forge', entry, sender }),
    ...{ server, sender, secret },
    effect: (n) => push('app.git', n),
    flowing: () => advertised,
    silent: () => push('silent.git'),
    broken: () => push('broken.git'),
    refused: () => [
      { ...push('app.git'), target: '/team/app.git/info/refs' },
      { ...push('app.git'), target: '/team/app.git/HEAD', method: 'GET' },
      { ...push('app.git'), headers: ['Content-Type', 'application/x-git-upload-pack-request'] },
      { ...push('app.git'), body: Buffer.concat([push('app.git').body, Buffer.from('PACK')]) },
      { ...advertised, headers: ['Git-Protocol', 'version=2:version=0'] },
      { ...advertised, body: Buffer.from('0000') },
    ],
    arrived: () => server.arrived.map(({ text }) => text),
    written: ({ method, target, body }) => {
      const text = Buffer.from(body).toString('latin1')
      return body.length === 0 ? `${method} /git${target} HTTP/1.1\r\n` : `\r\n\r\n${text}`
    },
    vanish: () => server.vanish(),
    async [Symbol.asyncDispose]() {
      await sender[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

upstreamContract('git', open)

it('names a push by its ref, and says whether it creates or deletes', async () => {
  await using under = await open()
  const { upstream } = under
  const of = (old: string, next: string) => ({
    ...push('app.git'),
    body: Buffer.concat([packetOf(`${old} ${next} refs/heads/agent/x\0 report-status`), flushPacket]),
  })
  const on = (tool: string) => ({ name: 'tools/call', resource: { type: 'tool', id: `forge/${tool}` } })
  const common = { repository: 'team/app.git', ref: 'refs/heads/agent/x' }
  expect(upstream.toAction(of(none, one))).toMatchObject({
    ...on('push'),
    properties: { ...common, old: none, new: one, creates: true },
  })
  expect(upstream.toAction(of(one, one.replace('1', '2')))).toMatchObject({
    ...on('push'),
    properties: { ...common, creates: false },
  })
  expect(upstream.toAction(of(one, none))).toMatchObject({ ...on('delete'), properties: { ...common, old: one } })
  expect(upstream.toAction(advertised)).toEqual({
    ...on('read'),
    properties: { repository: 'team/flowing.git', service: 'git-upload-pack', command: 'advertise', version: '2' },
  })
})

it('refuses a push of several refs as a whole (V1)', async () => {
  await using under = await open()
  const [own, other] = ['refs/heads/agent/x', 'refs/heads/main']
  for (const [first, second] of [
    [own, other],
    [other, own],
    [own, own],
  ]) {
    const body = Buffer.concat([
      packetOf(`${none} ${one} ${first}\0 report-status`),
      packetOf(`${none} ${one} ${second}`),
      flushPacket,
    ])
    const refused = { refused: 'git_feature_refused', detail: 'several refs in one push' }
    expect(under.upstream.toAction({ ...push('app.git'), body })).toEqual(refused)
  }
})

it('serves only the repositories that people signed', async () => {
  const entry = gitEntry.parse({ url: 'https://git.example', repositories: ['team/app.git'] })
  const { toAction } = gitUpstream({
    server: 'forge',
    entry,
    sender: { send: () => Promise.reject(new Error('not sent')) },
  })
  expect(toAction(push('app.git'))).toMatchObject({ name: 'tools/call' })
  for (const other of ['other.git', 'App.git', 'app', 'app.git/x'])
    expect(toAction(push(other))).toEqual({ refused: 'git_service_unknown', detail: 'the repository' })
})

describe('what a server says of a push', () => {
  const banded = (...parts: Buffer[]) =>
    Buffer.concat([
      packetOf('\x02remote: hello\n'),
      ...parts.map((part) => packetOf(Buffer.concat([Buffer.from([1]), part]))),
      flushPacket,
    ])
  const [done, refused] = [report('unpack ok', 'ok refs/heads/x'), report('unpack ok', 'ng refs/heads/x hook declined')]
  it.each<[string, string[], Buffer, boolean | undefined]>([
    ['done', [], done, false],
    ['done, in bands', ['side-band-64k'], banded(done.subarray(0, 9), done.subarray(9)), false],
    ['refused', [], refused, true],
    ['refused, in bands', ['side-band-64k'], banded(refused), true],
    ['not unpacked', [], report('unpack index-pack abnormal exit'), true],
    ['nothing', [], Buffer.alloc(0), undefined],
    ['only that it unpacked', [], report('unpack ok'), undefined],
    ['bands that were not asked for', [], banded(done), undefined],
    ['no bands where they were asked for', ['side-band-64k'], done, undefined],
    ['too much', [], Buffer.concat([done, Buffer.alloc(1_100_000)]), undefined],
  ])('%s', (_, capabilities, bytes, failed) => {
    const seen = new PushReport(capabilities)
    for (let at = 0; at < bytes.length; at += 7) seen.see(bytes.subarray(at, at + 7))
    expect(seen.failed()).toBe(failed)
  })
})
