import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { seededRandom } from '@bailiwick/kit'
import { addSignatures, cosign, encodeVkey, parseNote, SignerKey } from '@bailiwick/tlog'
import { expect, it } from 'vitest'
import { installation } from '../installation.fixture.ts'
import { bailiwick, temporaryFolder } from '../io.fixture.ts'
import { entryOf, logKey, put, writeLog } from '../log.fixture.ts'
import { trustedRoot } from '../log-trust.ts'

const vkey = encodeVkey(logKey().verifier)
const SIZES = [3, 257, 600]

function aLog() {
  const folder = temporaryFolder()
  const checkpoints = writeLog(folder.at('log'), SIZES)
  checkpoints.forEach((checkpoint, n) => {
    writeFileSync(folder.at(`old-${SIZES[n]}`), checkpoint)
  })
  const verify = (...more: string[]) => bailiwick(['verify', '--log', folder.at('log'), '--vkey', vkey, ...more])
  return { folder, verify, [Symbol.dispose]: () => folder[Symbol.dispose]() }
}

function flip(path: string, at: number): void {
  const bytes = readFileSync(path)
  bytes[at] = (bytes[at] as number) ^ 1
  writeFileSync(path, bytes)
}

it('finds a whole log whole, with every checkpoint that was kept (V14)', async () => {
  using log = aLog()
  const { code, out, err } = await log.verify('--old', log.folder.at('old-3'), '--old', log.folder.at('old-257'))
  expect(code).toBe(0)
  expect(out).toContain('whole and unchanged')
  expect(out).toContain('entries  600')
  expect(out).toContain(`grew from ${log.folder.at('old-257')} (257 entries)`)
  expect(err).toBe('')
})

it('answers a machine in JSON, the root as the checkpoint spells it', async () => {
  using log = aLog()
  const { code, out } = await log.verify('--json', '--old', log.folder.at('old-3'))
  const [, , root] = readFileSync(log.folder.at('old-600'), 'utf8').split('\n')
  expect(code).toBe(0)
  expect(JSON.parse(out)).toEqual({
    log: log.folder.at('log'),
    ok: true,
    origin: 'log.example/cli',
    size: 600,
    root,
    older: [{ name: log.folder.at('old-3'), size: 3 }],
  })
})

it('says without a kept checkpoint that it cannot see a rollback', async () => {
  using log = aLog()
  const { code, err } = await log.verify()
  expect(code).toBe(0)
  expect(err).toContain('Without --old this cannot see that the log was rolled back')
})

it.each([
  ['checkpoint', 2, 'checkpoint'],
  ['checkpoint', -3, 'checkpoint'],
  ['tile/0/000', 31, 'tile/0/000'],
  ['tile/0/001', 8191, 'tile/0/001'],
  ['tile/0/002.p/88', 0, 'tile/0/002.p/88'],
  ['tile/1/000.p/2', 40, 'tile/1/000.p/2'],
  ['tile/entries/000', 0, 'tile/entries/000'],
  ['tile/entries/001', 1000, 'tile/entries/001'],
  ['tile/entries/002.p/88', -1, 'tile/entries/002.p/88'],
])('names the file in which one byte was changed: %s at %i (V14)', async (path, at, named) => {
  using log = aLog()
  const file = log.folder.at('log', path)
  flip(file, at < 0 ? readFileSync(file).length + at : at)
  const { code, out } = await log.verify('--json')
  expect(code).toBe(1)
  expect(JSON.parse(out)).toMatchObject({ ok: false, path: named })
  const read = await log.verify()
  expect(read.out).toContain('NOT what its key commits to')
  expect(read.out).toContain(named)
})

it('names the entry that was exchanged for another, and the tile when that was made to fit (V14)', async () => {
  using log = aLog()
  const changed = log.folder.at('changed')
  writeLog(changed, [600], { entry: (n) => entryOf(n === 300 ? 9999 : n) })
  cpSync(`${changed}/tile/entries/001`, log.folder.at('log/tile/entries/001'))
  const { code, out } = await log.verify()
  expect(code).toBe(1)
  expect(out).toContain('tile/entries/001: entry 300 is not the one that the checkpoint commits to')
  cpSync(`${changed}/tile/0/001`, log.folder.at('log/tile/0/001'))
  expect(JSON.parse((await log.verify('--json')).out)).toMatchObject({ path: 'tile/0/001', reason: 'tile_differs' })
})

it.each(['checkpoint', 'tile/0/000', 'tile/1/000.p/2', 'tile/entries/002.p/88'])(
  'finds that %s is missing',
  async (path) => {
    using log = aLog()
    rmSync(log.folder.at('log', path))
    const { code, out } = await log.verify('--json')
    expect(code).toBe(1)
    expect(JSON.parse(out)).toMatchObject({ ok: false, path, reason: 'missing' })
  },
)

it('finds a file that is longer than it may be', async () => {
  using log = aLog()
  const file = log.folder.at('log/tile/0/000')
  writeFileSync(file, Buffer.concat([readFileSync(file), Buffer.alloc(32)]))
  expect(JSON.parse((await log.verify('--json')).out)).toMatchObject({ path: 'tile/0/000', reason: 'malformed' })
})

it('finds a log that was rolled back, or rewritten, by a checkpoint that was kept (V14)', async () => {
  using log = aLog()
  const old = ['--old', log.folder.at('old-600')]
  rmSync(log.folder.at('log'), { recursive: true })
  writeLog(log.folder.at('log'), [257])
  const rolledBack = await log.verify(...old)
  expect(rolledBack.code).toBe(1)
  expect(rolledBack.out).toContain('has 257 entries where it once had 600: the log was rolled back')

  rmSync(log.folder.at('log'), { recursive: true })
  writeLog(log.folder.at('log'), [600, 700], { entry: (n) => entryOf(n === 5 ? 9999 : n) })
  expect((await log.verify()).code).toBe(0)
  const rewritten = await log.verify(...old)
  expect(rewritten.code).toBe(1)
  expect(rewritten.out).toContain('is not the beginning of this one: history was changed')
})

it('takes no checkpoint of another key for this log', async () => {
  using log = aLog()
  const mallory = encodeVkey(logKey('log.example/cli', 2).verifier)
  const { code, out } = await bailiwick(['verify', '--log', log.folder.at('log'), '--vkey', mallory])
  expect(code).toBe(1)
  expect(out).toContain('not signed by this key')
})

it.each([
  ['a folder without a log', ['--log', '/nonexistent/log', '--vkey', vkey], 'there is no log at /nonexistent/log'],
  ['no key', ['--log', '/nonexistent/log'], '--log needs --vkey'],
  [
    'the key of a witness',
    [
      '--log',
      '/nonexistent/log',
      '--vkey',
      encodeVkey(new SignerKey('witness.example/w', seededRandom(1)(32), 4).verifier),
    ],
    'is the key of a witness, not of a log',
  ],
  ['a key that is none', ['--log', '/nonexistent/log', '--vkey', '/nonexistent/vkey'], '--vkey: cannot read'],
  ['no installation', ['--data', '/nonexistent'], 'there is no installation in /nonexistent: run bailiwick init'],
  ['a kept checkpoint that is not there', ['--old', '/nonexistent/old'], '--old: cannot read /nonexistent/old'],
])('cannot run with %s, and says so', async (_, argv, message) => {
  const { code, out, err } = await bailiwick(['verify', ...argv])
  expect(code).toBe(2)
  expect(out).toBe('')
  expect(err).toContain(message)
})

it('cannot run with a kept checkpoint of another log: it would prove nothing', async () => {
  using log = aLog()
  writeLog(log.folder.at('other'), [3], { key: logKey('other.example') })
  const { code, err } = await log.verify('--old', log.folder.at('other/checkpoint'))
  expect(code).toBe(2)
  expect(err).toContain('is no checkpoint signed by log.example/cli (signature_missing)')
})

it('reads no file that is far too large for what it should be', async () => {
  using log = aLog()
  writeFileSync(log.folder.at('large'), Buffer.alloc(65_537))
  const { code, err } = await log.verify('--old', log.folder.at('large'))
  expect(code).toBe(2)
  expect(err).toContain(`--old: ${log.folder.at('large')} is too large`)
})

it('reads the key from a file', async () => {
  using log = aLog()
  put(log.folder.path, 'log.vkey', Buffer.from(`${vkey}\n`))
  const argv = ['verify', '--log', log.folder.at('log'), '--vkey', log.folder.at('log.vkey')]
  expect(await bailiwick(argv)).toMatchObject({ code: 0 })
})

it('tells a terminal how far it is, and only then and not too often', async () => {
  using log = aLog()
  const seen: string[] = []
  let ms = 0
  const clock = { now: () => 0, monotonic: () => ms }
  const progress = (line: string) => {
    seen.push(line)
  }
  const argv = ['verify', '--log', log.folder.at('log'), '--vkey', vkey]
  await bailiwick(argv, { clock, progress })
  expect(seen).toEqual([])
  await bailiwick(argv, { clock: { now: () => 0, monotonic: () => (ms += 200) }, progress })
  expect(seen).toEqual(['256 of 600 entries', '512 of 600 entries', '600 of 600 entries'])
})

it('verifies over HTTP as from files, and names what the server withholds', async () => {
  using log = aLog()
  let withheld: string | undefined
  const server = createServer((request, response) => {
    const path = request.url?.replace('/log/', '') ?? ''
    if (path === 'broken/checkpoint') return response.writeHead(500).end()
    try {
      if (path === withheld) throw new Error('withheld')
      response.end(readFileSync(log.folder.at('log', path)))
    } catch {
      response.writeHead(404).end()
    }
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  await using _closed = { [Symbol.asyncDispose]: async () => void server.close() }
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/log`
  expect(await bailiwick(['verify', '--log', address, '--vkey', vkey])).toMatchObject({ code: 0 })
  withheld = 'tile/entries/001'
  const { code, out } = await bailiwick(['verify', '--log', `${address}/`, '--vkey', vkey, '--json'])
  expect(code).toBe(1)
  expect(JSON.parse(out)).toMatchObject({ path: 'tile/entries/001', reason: 'missing' })
  const broken = await bailiwick(['verify', '--log', `${address}/broken`, '--vkey', vkey])
  expect(broken).toMatchObject({ code: 2, out: '' })
  expect(broken.err).toContain('it answers 500 to checkpoint')
})

it('waits as long as the log says, takes compressed bundles, and gives up on a log that says for ever', async () => {
  using log = aLog()
  const refused = new Set<string>()
  let wait: string | undefined
  const server = createServer((request, response) => {
    const path = request.url?.replace('/log/', '') ?? ''
    const again = wait ?? (path === 'tile/0/000' ? '1' : new Date(Date.now() + 1000).toUTCString())
    if (wait !== undefined || (['tile/0/000', 'tile/entries/001'].includes(path) && !refused.has(path))) {
      refused.add(path)
      return response.writeHead(path === 'tile/0/000' ? 429 : 503, { 'retry-after': again }).end()
    }
    if (!existsSync(log.folder.at('log', path))) return response.writeHead(404).end()
    const bytes = readFileSync(log.folder.at('log', path))
    const squeezed = path.includes('entries') && String(request.headers['accept-encoding']).includes('gzip')
    response.writeHead(200, squeezed ? { 'content-encoding': 'gzip' } : {}).end(squeezed ? gzipSync(bytes) : bytes)
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  await using _closed = { [Symbol.asyncDispose]: async () => void server.close() }
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/log`
  expect(await bailiwick(['verify', '--log', address, '--vkey', vkey])).toMatchObject({ code: 0 })
  expect([...refused]).toEqual(['tile/0/000', 'tile/entries/001'])
  wait = '301'
  const never = await bailiwick(['verify', '--log', address, '--vkey', vkey])
  expect(never).toMatchObject({ code: 2, out: '' })
  expect(never.err).toContain('it answers 503 to checkpoint')
})

it('warns that a recovery may let a person in, and that one person governs (V3)', async () => {
  using folder = temporaryFolder()
  installation(folder)
  const event = { type: 'recovery.registered', time: '2026-11-25T12:00:00.000Z', subject: 'recovery rcv-1' }
  const quoted = { note: JSON.stringify({ ...event, subject: 'recovery rcv-2' }) }
  const entry = (n: number) => Buffer.from(JSON.stringify(n === 300 ? event : n === 301 ? quoted : { n }))
  writeLog(folder.at('evidence', 'log'), [600], { entry })
  const { code, err } = await bailiwick(['verify', '--data', folder.path])
  expect(code).toBe(0)
  expect(err).toContain('SINGLE OPERATOR')
  expect(err).toContain('RECOVERY: the log has rcv-1 of 2026-11-25T12:00:00.000Z')
  expect(err).not.toContain('rcv-2')
})

it('asks for the cosignatures of a policy, and says whose it found', async () => {
  using log = aLog()
  const [a, b] = [1, 2].map((n) => new SignerKey(`witness.example/${n}`, seededRandom(n)(32), 4)) as [
    SignerKey,
    SignerKey,
  ]
  const path = log.folder.at('log', 'checkpoint')
  const note = readFileSync(path, 'utf8')
  const lines = [a, b].map((key) => cosign(parseNote(note)?.text ?? '', key, 1_767_225_600))
  const policy = (k: number, head = '') => {
    const witnesses = [a, b].map((key, n) => `witness w${n} ${encodeVkey(key.verifier)}\n`).join('')
    writeFileSync(log.folder.at('policy'), `${head}${witnesses}group g ${k} w0 w1\nquorum g\n`)
    return ['--witness', log.folder.at('policy')]
  }
  expect(await log.verify(...policy(1))).toMatchObject({ code: 1, out: expect.stringContaining('quorum_missing') })
  const [first] = lines
  if (first === undefined) throw new Error('no cosignature')
  writeFileSync(path, addSignatures(note, first))
  const one = await log.verify(...policy(1))
  expect(one.code).toBe(0)
  expect(one.out).toContain('cosigned 2026-01-01T00:00:00.000Z by witness.example/1')
  expect(JSON.parse((await log.verify('--json', ...policy(2))).out)).toMatchObject({
    ok: false,
    reason: 'quorum_missing',
    witnesses: [{ name: 'witness.example/1' }],
  })
  writeFileSync(path, addSignatures(note, ...lines))
  expect((await log.verify(...policy(2))).code).toBe(0)
  // A witness may have two keys under one name during a key change.
  const c = new SignerKey('witness.example/1', seededRandom(9)(32), 4)
  writeFileSync(
    log.folder.at('both'),
    `witness w0 ${encodeVkey(a.verifier)}\nwitness w1 ${encodeVkey(c.verifier)}\ngroup g all w0 w1\nquorum g\n`,
  )
  writeFileSync(path, addSignatures(note, first, cosign(parseNote(note)?.text ?? '', c, 1_767_225_600)))
  const { out: named } = await log.verify('--witness', log.folder.at('both'))
  for (const { verifier } of [a, c])
    expect(named).toContain(`by ${encodeVkey(verifier).split('+').slice(0, 2).join('+')}`)
  // An invalid cosignature invalidates the whole note, even if the others meet the quorum.
  writeFileSync(path, addSignatures(note, first, cosign(parseNote(note)?.text.replace('600', '601') ?? '', b, 1)))
  expect(await log.verify(...policy(1))).toMatchObject({ code: 1, out: expect.stringContaining('signature_invalid') })
})

it('takes the log’s key from a policy that names one log, and refuses one about another log', async () => {
  using log = aLog()
  const other = encodeVkey(logKey('log.example/other', 2).verifier)
  const policy = (text: string) => {
    writeFileSync(log.folder.at('policy'), text)
    return ['verify', '--log', log.folder.at('log'), '--witness', log.folder.at('policy')]
  }
  expect((await bailiwick(policy(`log ${vkey}\nquorum none\n`))).code).toBe(0)
  const about = await bailiwick([...policy(`log ${other}\nquorum none\n`), '--vkey', vkey])
  expect(about).toMatchObject({ code: 2, err: expect.stringContaining('about other logs') })
  const wrong = await bailiwick(policy(`log ${vkey}\nquorum nobody\n`))
  expect(wrong).toMatchObject({ code: 2, err: expect.stringContaining('line 2: nobody is not defined') })
})

it('takes the key from an address, too, and says when nothing is there', async () => {
  using log = aLog()
  const server = createServer((request, response) =>
    response.writeHead(request.url === '/vkey' ? 200 : 404).end(`${vkey}\n`),
  )
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const at = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const verify = (place: string) => bailiwick(['verify', '--log', log.folder.at('log'), '--vkey', place])
  expect((await verify(`${at}/vkey`)).code).toBe(0)
  expect((await verify(`${at}/other`)).code).toBe(2)
  await new Promise((closed) => server.close(closed))
  expect(await verify(`${at}/vkey`)).toMatchObject({ code: 2, err: expect.stringContaining('does not answer') })
})

it('takes the root key of a bundle from a text, a file, a trust.json or the data directory, and from nowhere else (V3)', async () => {
  using folder = temporaryFolder()
  expect(trustedRoot({ data: folder.path })).toBe('')
  const { x } = installation(folder).root.jwk
  writeFileSync(folder.at('root'), `${x}\n`)
  writeFileSync(folder.at('none'), '{}')
  const elsewhere = '/nonexistent'
  for (const root of [x, folder.at('root'), folder.at('trust.json')])
    expect(trustedRoot({ root, data: elsewhere }), root).toBe(x)
  expect(trustedRoot({ data: folder.path })).toBe(x)
  const bundle = await bailiwick(['verify', folder.at('none'), '--vkey', vkey, '--root', folder.at('none')])
  expect(bundle).toMatchObject({ code: 2, err: expect.stringContaining('holds no root key') })
  const log = await bailiwick(['verify', '--log', folder.path, '--vkey', vkey, '--root', x])
  expect(log).toMatchObject({ code: 2, err: expect.stringContaining('a log has no root key') })
})

it('tells a stranger that a bundle needs the key of its log, and not to make an installation', async () => {
  using folder = temporaryFolder()
  writeFileSync(folder.at('bundle.json'), '{}')
  const { code, err } = await bailiwick(['verify', folder.at('bundle.json'), '--data', folder.at('none')])
  expect([code, err]).toEqual([
    2,
    'bailiwick: a bundle needs --vkey: the key of the log, from its operator (config_invalid)',
  ])
})

it('says that the bundle cannot be read, before it asks for anything else', async () => {
  using folder = temporaryFolder()
  const { code, err } = await bailiwick(['verify', folder.at('no-bundle'), '--data', folder.path])
  expect([code, err]).toEqual([2, `bailiwick: bundle: cannot read ${folder.at('no-bundle')} (ENOENT) (config_invalid)`])
})
