import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileOutcomeStore } from '@bailiwick/pep'
import { sampleKeyFile } from '@bailiwick/standalone/sample'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { GatewayWorld } from '../e2e/gateway-world.ts'
import { missingPrograms, pythonOf, pythonWithPackages, run } from './programs.ts'

// The SDK for Python as users install it: its wheel, built from its source archive, in the test's own folder.

const root = join(import.meta.dirname, '../..')
const sdk = join(root, 'clients/python')
/** Beside `python3`. A release that this machine lacks is skipped, also in CI: no registry of packages has it. */
const otherReleases = ['3.10', '3.12', '3.13']
const missing = process.env.CI === 'true' ? [] : missingPrograms().filter((each) => each.startsWith('python3'))

describe.skipIf(missing.length > 0)('the SDK for Python', () => {
  const folder = mkdtempSync(join(tmpdir(), 'python-sdk-'))
  const site = join(folder, 'site')
  const env = {
    PYTHONPATH: site,
    PYTHONDONTWRITEBYTECODE: '1',
    BAILIWICK_COMMAND: `${process.execPath} ${join(root, 'packages/cli/src/main.ts')}`,
  }
  let python: string

  async function pythonRuns(...args: string[]) {
    return runsWith(python, ...args)
  }

  async function runsWith(file: string, ...args: string[]) {
    const { code, out, err } = await run(file, args, { cwd: sdk, env })
    expect(code, `${out}\n${err}`).toBe(0)
    return out
  }

  beforeAll(async () => {
    python = await pythonWithPackages(sdk)
    await pythonRuns('-m', 'build', '--no-isolation', '--outdir', folder)
    const [wheel = ''] = readdirSync(folder).filter((name) => name.endsWith('.whl'))
    const quietly = ['--quiet', '--disable-pip-version-check', '--no-index', '--no-deps']
    await pythonRuns('-m', 'pip', 'install', ...quietly, '--target', site, join(folder, wheel))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('is built as a wheel and a source archive, with its types', () => {
    expect(readdirSync(folder).filter((name) => /\.whl$|\.tar\.gz$/.test(name))).toHaveLength(2)
    expect(readdirSync(join(site, 'bailiwick'))).toContain('py.typed')
  })

  it('is typed, strictly', async () => {
    const [checker = ''] = (await pythonRuns('-c', 'import basedpyright; print(basedpyright.__path__[0])')).split('\n')
    const { code, out } = await run(process.execPath, [
      join(checker, 'index.js'),
      '--pythonpath',
      python,
      '--project',
      sdk,
    ])
    expect(code, out).toBe(0)
  })

  it('passes its own tests, against a real installation and the vectors of this repository', async () => {
    expect(await pythonRuns('-m', 'pytest', '--quiet')).toMatch(/\d{3} passed in/)
  }, 300_000)

  describe.each(otherReleases)('on Python %s', (release) => {
    const base = pythonOf(release)

    it.skipIf(base === undefined)(
      'passes the same tests, as the same wheel',
      async () => {
        const other = await pythonWithPackages(sdk, base)
        expect(await runsWith(other, '--version')).toContain(`Python ${release}.`)
        const out = await runsWith(other, '-m', 'pytest', '--quiet')
        expect(out).toMatch(/\d{3} passed in/)
        console.log(`python-sdk: ${(await runsWith(other, '--version')).trim()}: ${out.trim().split('\n').at(-1)}`)
      },
      600_000,
    )
  })

  it('shares the lock of its outcome file with the SDK for TypeScript', async () => {
    const path = join(folder, 'outcomes.json')
    const hold =
      'import sys; from bailiwick import OutcomeFile; held = OutcomeFile(sys.argv[1]); held.open(); print("held", flush=True); sys.stdin.read()'
    const holder = spawn(python, ['-c', hold, path], {
      env: { ...process.env, ...env },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    await once(holder.stdout, 'data')
    await expect(fileOutcomeStore(path).lock?.()).rejects.toMatchObject({ code: 'outcomes_locked' })
    holder.stdin.end()
    await once(holder, 'exit')
    const lock = await fileOutcomeStore(path).lock?.()
    const { code, err } = await run(python, ['-c', hold, path], { env })
    expect(code).not.toBe(0)
    expect(err).toContain('outcomes_locked')
    lock?.[Symbol.dispose]()
  })

  it('calls a governed MCP server, and learns why it may not', async () => {
    await using world = await GatewayWorld.open()
    const { grantId } = await world.granted()
    const names = {
      BAILIWICK_URL: world.system.url,
      BAILIWICK_INSTALLATION: world.system.trust.installation,
      BAILIWICK_AGENT: 'spiffe://bailiwick.local/agent/reconciler',
      BAILIWICK_AGENT_INSTANCE: 'i1',
      BAILIWICK_AGENT_KEY: sampleKeyFile(world.system.data, 'reconciler'),
    }
    const story = [join(sdk, 'tests/mcp_story.py'), `${world.url}/mcp/billing`, grantId]
    const { code, out, err } = await run(python, story, { env: { ...env, ...names } })
    expect(code, err).toBe(0)
    const seen = JSON.parse(out)
    expect(seen.tools).toContain('read')
    expect(seen.read).toContain('INV-1')
    expect(seen.adjust).toContain('argument_out_of_bounds')
    expect(seen.delete).toContain('action_not_granted')
  })
})
