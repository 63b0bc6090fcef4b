import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { openSecrets } from '@bailiwick/relay'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Finding, type InventoryRequest, takeInventory } from './inventory.ts'

const secret = 'tr0ub4dor/and+3-more="words"'
const dayMs = 24 * 3600 * 1000

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'inventory-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** Below the folder of the test, in which `home` is the home folder and `work` the folder that the command runs in. */
function put(path: string, text: string | Uint8Array, mode = 0o600): string {
  const at = join(folder, path)
  mkdirSync(dirname(at), { recursive: true })
  writeFileSync(at, text, { mode })
  chmodSync(at, mode)
  return at
}

function putSecret(text = secret): string {
  return put('secrets/billing', `${text}\n`)
}

const billing = () =>
  put(
    'work/gateway.yaml',
    `http:
  billing:
    url: https://billing.example.com/v1
    inject: { headers: { authorization: 'Bearer \${secret:file:${folder}/secrets/billing}' } }
`,
  )

async function taken(request: Partial<InventoryRequest> = {}, env: Record<string, string> = {}) {
  const adapters = { env: { HOME: join(folder, 'home'), ...env }, cwd: join(folder, 'work') }
  const secrets = openSecrets({ env: adapters.env })
  const asked = {
    config: join(folder, 'work/gateway.yaml'),
    registered: ['billing'],
    look: [],
    days: 90,
    connect: false,
  }
  const connects = async ({ port }: { port: number }) => port === 7000
  return takeInventory({ ...asked, ...request }, { ...adapters, secrets, now: Date.now, connects })
}
const found = async (...args: Parameters<typeof taken>): Promise<Finding[]> =>
  (await taken(...args)).upstreams.flatMap(({ findings }) => findings)
const reference = () => `file:${folder}/secrets/billing`

describe('an inventory', () => {
  it('finds nothing where only the gateway has the secret', async () => {
    billing()
    putSecret()
    put('work/.env', 'OTHER=1')
    const { upstreams, rotate, unchecked, searched } = await taken({}, { PATH: '/bin' })
    expect(upstreams).toEqual([
      {
        ...{ kind: 'http', name: 'billing', server: 'billing', address: 'https://billing.example.com/v1' },
        secrets: [{ member: 'inject.headers.authorization', reference: reference(), age_days: 0 }],
        findings: [],
      },
    ])
    expect({ rotate, unchecked, searched }).toEqual({ rotate: [], unchecked: [], searched: { files: 2, variables: 2 } })
  })

  it.each<[where: string, path: string, text: string]>([
    ['a file of variables', 'work/.env', `A=1\nBILLING="${secret}"`],
    ['a configuration of Cursor, as JSON', 'home/.cursor/mcp.json', `{\n"env": ${JSON.stringify({ KEY: secret })}}`],
    ['a configuration of Codex', 'home/.codex/config.toml', `\nkey = '${secret}'`],
    ['a configuration of Claude in the project', 'work/.mcp.json', `\n${JSON.stringify(secret)}`],
    ['a configuration of VS Code in the project', 'work/.vscode/mcp.json', `\n${JSON.stringify(secret)}`],
    ['a login, in base64', 'home/.docker/config.json', `\n"auth": "${Buffer.from(`me:${secret}`).toString('base64')}"`],
    ['an address, with escapes', 'home/.git-credentials', `\nhttps://me:${encodeURIComponent(secret)}@git.example.com`],
    ['what was typed', 'home/.bash_history', `ls\ncurl -H "Authorization: Bearer ${secret}"`],
  ])('finds a copy in %s', async (_, path, text) => {
    billing()
    putSecret()
    const at = put(path, text)
    const { upstreams, rotate } = await taken()
    expect(upstreams[0]?.findings).toEqual([{ kind: 'copy', reference: reference(), place: at, line: 2 }])
    expect(rotate).toEqual([{ reference: reference(), upstreams: ['billing'], because: ['copy'] }])
  })

  it('finds a copy in a variable, and in a file and a folder that the person named', async () => {
    billing()
    putSecret()
    const [one, two] = [put('notes/deep/er/a.txt', secret), put('one.txt', secret)]
    const look = [join(folder, 'notes'), '../one.txt', 'missing']
    const { upstreams, unchecked } = await taken({ look }, { BILLING_KEY: `x ${secret}`, PATH: '/bin' })
    expect(upstreams[0]?.findings.map(({ place }) => place)).toEqual(['the variable BILLING_KEY', one, two])
    expect(unchecked).toEqual([{ place: join(folder, 'work/missing'), why: 'does_not_exist' }])
  })

  it('says what is old, what others may read, what is short, and what cannot be read', async () => {
    const at = put('work/gateway.yaml', '')
    const names = ['old', 'open', 'short', 'gone']
    writeFileSync(
      at,
      `http:\n${names.map((name) => `  ${name}:\n    url: https://${name}.example.com\n    inject: { headers: { x: '\${secret:file:${folder}/${name}}' } }\n`).join('')}`,
    )
    const ago = new Date(Date.now() - 91.5 * dayMs)
    utimesSync(put('old', 'an-old-password'), ago, ago)
    put('open', 'a-shown-password', 0o644)
    put('short', '1234567')
    const { upstreams, rotate } = await taken({ registered: names })
    const of = (name: string) => ({ reference: `file:${folder}/${name}` })
    expect(Object.fromEntries(upstreams.map(({ name, findings }) => [name, findings]))).toEqual({
      old: [{ kind: 'old', ...of('old'), days: 91 }],
      open: [{ kind: 'readable', ...of('open') }],
      short: [{ kind: 'short', ...of('short') }],
      gone: [{ kind: 'unread', ...of('gone') }],
    })
    expect(rotate.map(({ because }) => because)).toEqual([['old'], ['readable'], ['short']])
    expect(await found({ registered: names, days: 92 })).not.toContainEqual(expect.objectContaining({ kind: 'old' }))
  })

  it('says which upstreams take no secret, which are in no registry, and which of the registry are not here', async () => {
    put(
      'work/gateway.yaml',
      `http:
  wiki: { url: 'http://127.0.0.1:7000/' }
  news: { url: 'https://news.example.com/', inject: { headers: { authorization: 'Bearer written-out-here' } } }
mcp:
  notes: { command: [node, notes.mjs] }
`,
    )
    const { upstreams, elsewhere } = await taken({ registered: ['wiki', 'news', 'billing'], connect: true })
    expect(Object.fromEntries(upstreams.map(({ name, findings }) => [name, findings]))).toEqual({
      notes: [{ kind: 'unregistered' }, { kind: 'open' }],
      wiki: [{ kind: 'open', answers: true }],
      news: [{ kind: 'written_out', place: 'inject.headers.authorization' }],
    })
    expect(elsewhere).toEqual(['billing'])
  })

  it('finds configurations of clients that name an upstream itself, and no other', async () => {
    put(
      'work/gateway.yaml',
      `mcp:
  notes: { command: [node, tools/notes.mjs] }
postgres:
  orders: { host: db.example.com, database: orders, template: reader, broker: { user: lender, password: '\${secret:env:DB}' } }
`,
    )
    const notes = put('home/.claude.json', '{"command":"node","args":["tools/notes.mjs"]}')
    const orders = put('home/.pgpass', 'db.example.com:5432:orders:me:mine')
    put('home/.ssh/config', 'Host other-db.example.com db.example.com.org')
    const { upstreams } = await taken({ registered: ['notes', 'orders'] }, { DB: 'a-password-of-the-broker' })
    expect(Object.fromEntries(upstreams.map(({ name, findings }) => [name, findings]))).toEqual({
      notes: [{ kind: 'open' }, { kind: 'named', place: notes }],
      orders: [{ kind: 'named', place: orders }],
    })
  })

  it('finds one secret of two upstreams, also under two references', async () => {
    put(
      'work/gateway.yaml',
      `http:
  one: { url: 'https://one.example.com', inject: { headers: { x: '\${secret:env:ONE}' } } }
  two: { url: 'https://two.example.com', inject: { headers: { x: '\${secret:env:TWO}' } } }
`,
    )
    expect(await found({ registered: ['one', 'two'] }, { ONE: secret, TWO: secret })).toEqual([
      { kind: 'shared', reference: 'env:ONE', place: 'two' },
      { kind: 'shared', reference: 'env:TWO', place: 'one' },
    ])
  })
})

describe('an inventory of hostile places', () => {
  /** Every spelling in which the secret could leave. */
  const spellings = (value: string) => [
    value,
    JSON.stringify(value).slice(1, -1),
    encodeURIComponent(value),
    Buffer.from(value).toString('base64').slice(0, -4),
  ]

  it('holds no secret, though files, folders and variables are named by it (V17)', async () => {
    const value = 'ghp_0123456789abcdefABCDEF'
    billing()
    putSecret(value)
    put(`look/${value}/${value}.txt`, value)
    put('work/.env', `A=${value}`)
    const made = await taken({ look: [join(folder, 'look'), join(folder, value)] }, { [value]: value, B: value })
    expect(made.upstreams[0]?.findings.map(({ place }) => place)).toEqual([
      '(withheld: it contains a secret)',
      'the variable B',
      join(folder, 'work/.env'),
      '(withheld: it contains a secret)',
    ])
    for (const spelling of spellings(value)) expect(JSON.stringify(made)).not.toContain(spelling)
  })

  it('withholds every text that contains a secret which looks like a path (V17)', async () => {
    billing()
    putSecret(join(folder, 'work/.env'))
    put('work/.env', `HERE=${join(folder, 'work/.env')}`)
    const made = await taken()
    expect(made.upstreams[0]?.findings).toMatchObject([{ kind: 'copy', place: '(withheld: it contains a secret)' }])
    expect(JSON.stringify(made)).not.toContain(join(folder, 'work/.env'))
  })

  it('holds no secret of a file that cannot be read as gateway.yaml (V17)', async () => {
    put('work/gateway.yaml', `http: { billing: { url: 'https://x', inject: { headers: { a: "${secret} $" } } } }`)
    const error = await taken().catch((thrown) => thrown)
    expect(String(error.detail)).not.toContain('tr0ub4dor')
  })

  it('waits for no pipe, reads no device, and follows no loop', async () => {
    billing()
    putSecret()
    mkdirSync(join(folder, 'home/.cursor'), { recursive: true })
    execFileSync('mkfifo', [join(folder, 'work/.env')])
    symlinkSync('/dev/zero', join(folder, 'work/.env.local'))
    symlinkSync('.env.test', join(folder, 'work/.env.test'))
    mkdirSync(join(folder, 'home/.netrc'))
    mkdirSync(join(folder, 'look'))
    symlinkSync('..', join(folder, 'look/up'))
    const { unchecked, upstreams } = await taken({ look: [join(folder, 'look')] })
    expect(unchecked).toEqual([
      { place: join(folder, 'home/.netrc'), why: 'not_a_file' },
      { place: join(folder, 'work/.env'), why: 'not_a_file' },
      { place: join(folder, 'work/.env.local'), why: 'not_a_file' },
      { place: join(folder, 'work/.env.test'), why: 'not_readable' },
    ])
    expect(upstreams[0]?.findings).toEqual([])
  })

  it('searches the beginning of a huge file, and says that it searched no more', async () => {
    billing()
    putSecret()
    const at = put('work/.env', `A=${secret}\n`)
    truncateSync(at, 2 ** 40)
    const begun = performance.now()
    const { unchecked, upstreams } = await taken()
    expect(performance.now() - begun).toBeLessThan(20_000)
    expect(unchecked).toEqual([{ place: at, why: 'only_its_beginning' }])
    expect(upstreams[0]?.findings).toMatchObject([{ kind: 'copy', place: at, line: 1 }])
  })

  it('takes a link to the secret’s own file for that file, and a second name of it for a copy', async () => {
    billing()
    const own = putSecret()
    symlinkSync(own, join(folder, 'work/.env'))
    linkSync(own, join(folder, 'work/.env.local'))
    expect((await found()).map(({ place }) => place)).toEqual([join(folder, 'work/.env.local')])
  })
})
