import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { freePort } from '@bailiwick/testkit'
import { expect, it } from 'vitest'
import { missingPrograms, Program, pythonWithPackages } from './programs.ts'
import { samplePort } from './sample-port.ts'

const root = join(import.meta.dirname, '../..')
const cli = join(root, 'packages/cli/src/main.ts')
const examplePoint = join(root, 'examples/enforcement-points/python')
const [api = '', agent = ''] = [
  ...readFileSync(join(root, 'README.md'), 'utf8').matchAll(/^```ts\n([\s\S]*?)^```/gm),
].map(([, code = '']) => code)

// With CI=true it runs anyway, and fails without a Python.
const missing = process.env.CI === 'true' ? [] : missingPrograms().filter((program) => program.startsWith('python3'))

/** `bailiwick dev`, and a folder inside the repository, where the packages are found. */
async function startDev() {
  const turn = await samplePort()
  mkdirSync(join(root, 'out'), { recursive: true })
  const folder = mkdtempSync(join(root, 'out/first-hour-'))
  const envFile = join(folder, '.env.dev')
  const dev = new Program(process.execPath, [cli, 'dev', '--port', String(await freePort()), '--env', envFile])
  await expect.poll(() => dev.output).toContain('Bailiwick is ready')
  const env = parseEnv(readFileSync(envFile, 'utf8'))
  return {
    env,
    save(name: string, code: string): string {
      writeFileSync(join(folder, name), code)
      return join(folder, name)
    },
    node: (file: string) => new Program(process.execPath, [`--env-file=${envFile}`, file]),
    async cli(...args: string[]) {
      await using ran = new Program(process.execPath, [cli, ...args, '--data', env.BAILIWICK_DATA ?? ''])
      await ran.ended
      return ran.output
    },
    async [Symbol.asyncDispose]() {
      await dev[Symbol.asyncDispose]()
      rmSync(folder, { recursive: true, force: true })
      await turn[Symbol.asyncDispose]()
    },
  }
}

const statusWithoutCredential = () =>
  fetch('http://localhost:8430/read', { method: 'POST' }).then(
    ({ status }) => status,
    () => undefined,
  )

/** The README's agent gets an answer, and its call traces to the approver, with its outcome. */
async function expectGovernedCall(dev: Awaited<ReturnType<typeof startDev>>): Promise<void> {
  await using asking = dev.node(dev.save('agent.ts', agent))
  await expect.poll(() => asking.output).toContain("200 { invoice: 'INV-1', total: '120.00' }")
  await expect.poll(() => dev.cli('events', '--type', 'outcome.reported', '--json')).toMatch(/dec_\w+/)
  const [decision = ''] = /dec_\w+/.exec(await dev.cli('events', '--type', 'outcome.reported', '--json')) ?? []
  const trace = await dev.cli('trace', decision)
  expect(trace).toMatch(/outcome\.reported[\s\S]*request\.approved|request\.approved[\s\S]*outcome\.reported/)
  expect(trace).toMatch(/All \d+ steps verified/)
}

// first-agent.test.ts runs them as these pages have them.
it.each([
  ['docs/start/guard-an-api.md', api],
  ['docs/start/first-agent.md', agent],
])('%s has the same code as the README', (page, code) => {
  expect(readFileSync(join(root, page), 'utf8')).toContain(`\`\`\`ts\n${code}\`\`\``)
})

it('the README’s API and agent are short', () => {
  for (const code of [api, agent]) expect(code.trimEnd().split('\n').length).toBeLessThanOrEqual(27)
})

it.skipIf(missing.length > 0)('an enforcement point in Python, without an SDK, guards the same API', async () => {
  await using dev = await startDev()
  const python = await pythonWithPackages(examplePoint)
  await using point = new Program(python, [join(examplePoint, 'point.py')], {
    env: { ...process.env, ...dev.env },
  })
  await expect.poll(statusWithoutCredential, { message: point.output }).toBe(401)
  await expectGovernedCall(dev)
  await expectGovernedCall(dev)
  expect(point.output).not.toContain('refused')
})
