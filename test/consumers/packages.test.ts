import {
  copyFileSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { freePort } from '@bailiwick/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pack } from '../../scripts/pack/pack.ts'
import { published } from '../../scripts/pack/published.ts'
import { sourceFrom, sourceOf } from '../../scripts/pack/source.ts'
import { strayFiles } from '../../scripts/pack/stray-files.ts'
import { asLocked, nodeOf, ownRelease, Project, succeeds } from './installed.ts'
import { run } from './programs.ts'
import { samplePort } from './sample-port.ts'
import { codeOf, saveSnippets } from './snippets.ts'

// The packages as users install them: tarballs, in projects outside this repository. CI runs them on its own Node.js, and
// `npm run nightly -- packages` on each release that they are for.

const nightly = process.env.BAILIWICK_NIGHTLY === '1'
const libraryReleases = nightly ? [20, 22, 24, ownRelease] : [ownRelease]
const programReleases = libraryReleases.filter((release) => release >= 24)
const entries = [
  '@bailiwick/agent',
  '@bailiwick/agent/sidecar',
  '@bailiwick/pep/in-process',
  '@bailiwick/pep',
  '@bailiwick/verify',
  '@bailiwick/verify/audit',
]

const root = join(import.meta.dirname, '../..')
const text = (name: string) => readFileSync(join(root, name), 'utf8')

const folder = mkdtempSync(join(tmpdir(), 'packages-'))
const tarballs: Record<string, string> = {}
let output: string
let libraries: Project
let program: Project

beforeAll(async () => {
  const out = join(folder, 'tarballs')
  const command = [join(root, 'scripts/pack/main.ts'), '--out', out, '--source', 'https://git.example/bailiwick']
  output = (await succeeds(run(process.execPath, command))).out
  for (const { name } of published) {
    const { version } = JSON.parse(text('packages/cli/package.json'))
    tarballs[name] = `file:${join(out, `${name.replace('@', '').replace('/', '-')}-${version}.tgz`)}`
  }
  const { bailiwick = '', ...forLibraries } = tarballs
  const others = asLocked('zod', 'jose', 'canonicalize', '@simplewebauthn/server')
  // No fastify: an enforcement point may do without.
  libraries = await Project.install(join(folder, 'libraries'), {
    ...forLibraries,
    ...others,
    ...asLocked('@types/node'),
    'typescript-5': 'npm:typescript@5.9.3',
    'typescript-6': 'npm:typescript@6.0.3',
  })
  program = await Project.install(join(folder, 'program'), {
    ...forLibraries,
    ...others,
    bailiwick,
    ...asLocked('fastify', '@types/node'),
  })
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('npm run pack', () => {
  it('makes the packages that are published, clean to publint and attw, and says how large they are', () => {
    for (const { name, form } of published) {
      const asked = form === 'library' ? 'publint and attw' : 'publint'
      expect(output).toMatch(new RegExp(`^${name} [\\d.]+: \\d+ kB packed, .* files; ${asked} clean$`, 'm'))
    }
    console.log(output.trim().replaceAll(/^/gm, 'packages: '))
  })

  it('names the repository in each package, and its folder there', () => {
    for (const { name, workspace } of published) {
      const { repository } = JSON.parse(readFileSync(installedFile(name, 'package.json'), 'utf8'))
      expect(repository).toEqual({ type: 'git', url: 'git+https://git.example/bailiwick.git', directory: workspace })
    }
  })

  it('takes the repository from the checkout, if that has a public address', async () => {
    const checkout = mkdtempSync(join(folder, 'checkout-'))
    const manifest = (more: object) =>
      writeFileSync(join(checkout, 'package.json'), JSON.stringify({ name: 'a', ...more }))
    manifest({})
    expect(sourceOf(checkout)).toBeUndefined()
    await succeeds(run('git', ['init', '--quiet'], { cwd: checkout }))
    await succeeds(run('git', ['remote', 'add', 'origin', 'git@git.example:team/app.git'], { cwd: checkout }))
    expect(sourceOf(checkout)).toBe('https://git.example/team/app')
    manifest({ repository: { type: 'git', url: 'git+https://forge.example/app.git' } })
    expect(sourceOf(checkout)).toBe('https://forge.example/app')
    for (const same of [
      'https://git.example/team/app/',
      'ssh://git@git.example:22/team/app.git',
      'https://git.example/team/app.git',
    ])
      expect(sourceFrom(same)).toBe('https://git.example/team/app')
    for (const none of [
      '/srv/app',
      '../app',
      'http://git.example/app',
      'https://git.example',
      'https://user:secret@git.example/app',
      'file:///app',
    ])
      expect([none, sourceFrom(none)]).toEqual([none, undefined])
  })

  it('builds nothing without an address of the repository', async () => {
    const out = join(folder, 'none')
    const command = [join(root, 'scripts/pack/main.ts'), '--out', out, '--source', '../here']
    expect(await run(process.execPath, command)).toMatchObject({ code: 2 })
    expect(existsSync(out)).toBe(false)
  })

  it('refuses a file that is not listed', () => {
    const stray = ['dist/index.test.js', '.env', 'keys/root.json', 'dist/policies/tests/starter.yaml']
    const files = ['package.json', ...stray].map((path) => ({ path }))
    for (const form of ['library', 'program'] as const) expect(strayFiles(form, files)).toHaveLength(stray.length)
  })

  it('gives the same bytes for the same sources', async () => {
    const [agent] = published
    if (agent === undefined) throw new Error('no package is published')
    const again = await pack(agent, mkdtempSync(join(folder, 'again-')), 'https://git.example/bailiwick')
    rmSync(again.folder, { recursive: true })
    const before = tarballs['@bailiwick/agent']?.replace('file:', '') ?? ''
    expect(readFileSync(again.tarball).equals(readFileSync(before))).toBe(true)
  })

  it('shows in the packages the API and the agent of the README', () => {
    const body = (code = '') => code.replaceAll(/^import .*\n/gm, '')
    const [api, agent] = codeOf('README.md')
    expect(body(codeOf('packages/pep/README.md')[0])).toBe(body(api))
    expect(body(codeOf('packages/agent/README.md')[0])).toBe(body(agent))
  })

  it('names no package of this repository that is not published', () => {
    for (const { name } of published) {
      const { dependencies } = JSON.parse(readFileSync(installedFile(name, 'package.json'), 'utf8'))
      expect(Object.keys(dependencies).filter((each) => each.startsWith('@bailiwick/'))).toEqual([])
    }
    for (const page of ['packages/agent/README.md', 'packages/pep/README.md', 'packages/verify/README.md', 'README.md'])
      for (const code of codeOf(page))
        for (const [, name = ''] of code.matchAll(/from '(@?bailiwick[^']*)'/g)) expect(entries).toContain(name)
    const examples = globSync('examples/**/*.{ts,mjs}', { cwd: root })
    expect(examples.length).toBeGreaterThan(3)
    for (const file of examples)
      for (const [, name = ''] of readFileSync(join(root, file), 'utf8').matchAll(/from '(@?bailiwick[^']*)'/g))
        expect([file, entries]).toEqual([file, expect.arrayContaining([name])])
  })

  const installedFile = (name: string, file: string) => program.at('node_modules', name, file)
})

describe.each(libraryReleases)('the libraries on Node.js %d', (release) => {
  it('are the same to a program in ES modules and to one in CommonJS', async () => {
    const node = await nodeOf(release)
    const names = JSON.stringify(entries)
    const shown =
      'const names = (module) => Object.keys(module).filter((name) => !/^(__|module\\.)/.test(name)).sort()\n'
    const esm = `${shown}for (const name of ${names}) console.log(name, names(await import(name)).join())`
    const cjs = `${shown}for (const name of ${names}) console.log(name, names(require(name)).join())`
    const byImport = await libraries.node(node, [libraries.save('entries.mjs', esm)])
    expect(byImport).toMatch(/^@bailiwick\/agent .*createAgent.*parseTrust.*readKeyFile/m)
    expect(byImport.trim().split('\n')).toHaveLength(entries.length)
    expect(await libraries.node(node, [libraries.save('entries.cjs', cjs)])).toBe(byImport)
  })
})

it.each([5, 6])('the libraries compile in a strict program, with TypeScript %d', async (release) => {
  const options = { strict: true, noEmit: true, module: 'nodenext', target: 'es2022', types: ['node'] }
  const compilerOptions = { ...options, skipLibCheck: false, exactOptionalPropertyTypes: true }
  libraries.save('tsconfig.json', JSON.stringify({ compilerOptions, files: ['user.mts', 'user.cts'] }))
  copyFileSync(join(import.meta.dirname, 'typed-user.ts'), libraries.at('user.mts'))
  libraries.save(
    'user.cts',
    "import { createAgent } from '@bailiwick/agent'\nexport const make: typeof createAgent = createAgent\n",
  )
  const compiler = libraries.at('node_modules', `typescript-${release}`, 'bin/tsc')
  expect(await libraries.node(process.execPath, [compiler, '-p', libraries.folder])).toBe('')
})

it.each([5, 6])('each program in the documentation compiles strictly, with TypeScript %d', async (release) => {
  const folder = mkdtempSync(program.at('snippets-'))
  const files = saveSnippets(folder)
  expect(files.size).toBeGreaterThan(15)
  const options = { strict: true, noEmit: true, module: 'nodenext', target: 'es2022', types: ['node'] }
  // The packages of others are not ours to check.
  const config = { compilerOptions: { ...options, skipLibCheck: true }, include: ['*.mts', '*.d.ts'] }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
  const compiler = libraries.at('node_modules', `typescript-${release}`, 'bin/tsc')
  const { out } = await run(process.execPath, [compiler, '-p', folder, '--pretty', 'false'], { cwd: folder })
  expect(out.replaceAll(/^[\w.-]+\.mts/gm, (file) => files.get(file) ?? file)).toBe('')
})

/** `npx bailiwick dev`, outside the repository, on this Node.js. */
async function startDev(node: string) {
  const turn = await samplePort()
  const data = mkdtempSync(join(folder, 'dev-'))
  const env = ['--env', program.at('.env.dev')]
  const dev = program.startNpx(node, 'dev', '--port', String(await freePort()), '--data', join(data, 'data'), ...env)
  await expect.poll(() => dev.output).toContain('Bailiwick is ready')
  return {
    data: parseEnv(readFileSync(program.at('.env.dev'), 'utf8')).BAILIWICK_DATA ?? '',
    async [Symbol.asyncDispose]() {
      await dev[Symbol.asyncDispose]()
      await turn[Symbol.asyncDispose]()
    },
  }
}

/** As packages/pep/README.md says for Node.js 20: the store without its lock. */
function withoutLock(api: string): string {
  const [, forNode20 = ''] = codeOf('packages/pep/README.md')
  return api
    .replace(/store: fileOutcomeStore\(.*\)/, 'store')
    .replace('const point = ', () => `${forNode20}const point = `)
}

const statusOf = (port: number, path: string, body?: object) =>
  fetch(
    `http://localhost:${port}${path}`,
    body && { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) },
  ).then(
    ({ status }) => status,
    () => undefined,
  )
const statusWithoutCredential = () => statusOf(8430, '/read', {})

describe.each(programReleases)('npx bailiwick dev on Node.js %d', (release) => {
  it.each(libraryReleases)(
    'serves the README’s API and agent, which run on Node.js %d, and their call is proved',
    async (ofUser) => {
      const [node, theirs] = [await nodeOf(release), await nodeOf(ofUser)]
      const [api = '', agent = ''] = codeOf('README.md')
      await using dev = await startDev(node)
      if (ofUser < 22) {
        const refused = program.node(theirs, ['--env-file=.env.dev', program.save('guarded-api.mjs', api)])
        await expect(refused).rejects.toThrow('needs Node.js 22.13 or later')
      }
      const served = ofUser < 22 ? withoutLock(api) : api
      await using guarded = program.start(theirs, '--env-file=.env.dev', program.save('guarded-api.mjs', served))
      await expect.poll(statusWithoutCredential, { message: guarded.output }).toBe(401)
      const answered = await program.node(theirs, ['--env-file=.env.dev', program.save('agent.mjs', agent)])
      expect(answered).toContain("200 { invoice: 'INV-1', total: '120.00' }")
      const at = ['--data', dev.data]
      const outcomes = async () =>
        (await program.npx(node, 'events', '--type', 'outcome.reported', '--json', ...at)).out
      await expect.poll(outcomes).toMatch(/dec_\w+/)
      const [decision = ''] = /dec_\w+/.exec(await outcomes()) ?? []
      expect((await succeeds(program.npx(node, 'trace', decision, ...at))).out).toMatch(/All \d+ steps verified/)
      writeFileSync(join(dev.data, 'action.json'), (await succeeds(program.npx(node, 'prove', decision, ...at))).out)
      const [verify = ''] = codeOf('packages/verify/README.md')
      const verified = await program.node(theirs, [program.save('verify.mjs', verify)], dev.data)
      expect(verified).toMatch(
        /unchanged: true\nfollows its own rules: true \[\][\s\S]*request\.approved[\s\S]*outcome\.reported/,
      )
    },
  )

  it('puts an MCP server behind the gateway', async () => {
    const node = await nodeOf(release)
    await using dev = await startDev(node)
    copyFileSync(join(root, 'examples/mcp-servers/notes/server.mjs'), program.at('notes.mjs'))
    const add = ['gateway', 'add', 'mcp', 'notes', '--wait', '--data', dev.data, '--', 'node', 'notes.mjs']
    expect((await succeeds(program.npx(node, ...add))).out).toContain('Applied.')
    const port = await freePort()
    const at = ['--config', 'gateway.yaml', '--data', dev.data, '--port', String(port)]
    await using gateway = program.startNpx(node, 'serve', 'gateway', ...at)
    const list = { jsonrpc: '2.0', id: 1, method: 'tools/list' }
    await expect.poll(() => statusOf(port, '/mcp/notes', list), { message: gateway.output }).toBe(401)
    const agent = [
      '--agent',
      'spiffe://bailiwick.local/agent/reconciler/i1',
      '--key',
      join(dev.data, 'sample/reconciler.json'),
    ]
    const words = [
      'agent',
      'run',
      '--gateway',
      `http://localhost:${port}`,
      ...agent,
      '--data',
      dev.data,
      '--mcp',
      'notes',
    ]
    const config = JSON.parse((await succeeds(program.npx(node, ...words, '--print-config', 'claude'))).out)
    // What is printed starts this program, in any folder.
    const { command, args } = config.mcpServers.notes
    expect(await run(command, args, { cwd: tmpdir() })).toMatchObject({
      code: 2,
      err: expect.stringContaining('BAILIWICK_MCP_NOTES is not set'),
    })
  })

  it('reads large policies in a thread of its own', async () => {
    const node = await nodeOf(release)
    const policies = mkdtempSync(join(folder, 'policies-'))
    const padding = `// ${'x'.repeat(97)}\n`.repeat(400)
    const permit = '@id("all") permit (principal, action, resource);\n'
    writeFileSync(join(policies, 'large.cedar'), padding + permit)
    const port = await freePort()
    const options = ['--plain', '--policies', policies, '--port', String(port)]
    await using decides = program.startNpx(node, 'serve', 'policy-decision', ...options)
    await expect.poll(() => statusOf(port, '/.well-known/authzen-configuration'), { message: decides.output }).toBe(200)
  })

  it('prints a command that runs this program, wherever it is typed', async () => {
    const node = await nodeOf(release)
    const init = ['init', '--public-url', 'http://localhost:8420', '--data']
    const here = await succeeds(program.npx(node, ...init, join(mkdtempSync(join(folder, 'init-')), 'data')))
    expect(here.out).toContain('Next: npx bailiwick serve')
    const elsewhere = mkdtempSync(join(folder, 'elsewhere-'))
    const command = program.at('node_modules/bailiwick/bin/bailiwick.js')
    const there = await program.node(node, [command, ...init, 'data'], elsewhere)
    expect(there).toContain(`Next: ${node} ${command} serve --data data`)
    expect(there).not.toContain('npx')
    expect(existsSync(join(elsewhere, 'data/trust.json'))).toBe(true)
  })
})

if (nightly)
  it('the command says which Node.js it needs, on one that is too old', async () => {
    const command = program.at('node_modules/bailiwick/bin/bailiwick.js')
    for (const release of [20, 22]) {
      const { code, err } = await run(await nodeOf(release), [command, 'dev'], { cwd: program.folder })
      expect([code, err]).toEqual([2, expect.stringContaining('Node.js 24 or later is needed, and this is v')])
    }
  })

it('npx fetches nothing where this repository is not installed yet', async () => {
  const checkout = join(folder, 'checkout')
  mkdirSync(checkout)
  for (const name of ['.npmrc', 'package.json']) copyFileSync(join(root, name), join(checkout, name))
  // A package that there is. The one called bailiwick may be a stranger's.
  // Without the settings of this machine's user, who may have said the same.
  // `npm run -s` passes its silence on.
  const env = { npm_config_userconfig: join(checkout, 'none'), npm_config_loglevel: 'warn' }
  const { code, out, err } = await run('npx', ['semver', '1.2.3'], { cwd: checkout, env })
  expect([code, out]).toEqual([1, ''])
  expect(err).toMatch(/npx canceled/)
})
