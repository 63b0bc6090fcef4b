import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { freePort } from '@bailiwick/testkit'
import { expect, it } from 'vitest'

const root = join(import.meta.dirname, '../..')
const cli = join(root, 'packages/cli/src/main.ts')
const [api = '', agent = ''] = [
  ...readFileSync(join(root, 'README.md'), 'utf8').matchAll(/^```ts\n([\s\S]*?)^```/gm),
].map(([, code = '']) => code)

class Program implements AsyncDisposable {
  output = ''
  readonly #child: ChildProcess

  constructor(args: readonly string[]) {
    this.#child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on('data', (chunk) => (this.output += String(chunk)))
  }

  async [Symbol.asyncDispose]() {
    this.#child.kill('SIGTERM')
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'close')
  }
}

it('the README’s API and agent are short, and work as they stand: one call is allowed, and traces to its approver', async () => {
  for (const code of [api, agent]) expect(code.trimEnd().split('\n').length).toBeLessThanOrEqual(27)
  // Inside the repository, where the packages are found.
  mkdirSync(join(root, 'out'), { recursive: true })
  const folder = mkdtempSync(join(root, 'out/readme-'))
  using _ = { [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) }
  const env = join(folder, '.env.dev')
  await using dev = new Program([cli, 'dev', '--port', String(await freePort()), '--env', env])
  await expect.poll(() => dev.output).toContain('Bailiwick is ready')
  const run = (name: string, code: string) => {
    writeFileSync(join(folder, name), code)
    return new Program([`--env-file=${env}`, join(folder, name)])
  }
  await using guarded = run('guarded-api.ts', api)
  // Its port is the one that the sample registry names.
  const status = () =>
    fetch('http://localhost:8430/read', { method: 'POST' }).then(
      ({ status }) => status,
      () => undefined,
    )
  await expect.poll(status, { message: guarded.output }).toBe(401)
  await using asking = run('agent.ts', agent)
  await expect.poll(() => asking.output).toContain("200 { invoice: 'INV-1', total: '120.00' }")
  const { BAILIWICK_DATA: data = '' } = parseEnv(readFileSync(env, 'utf8'))
  await using events = new Program([cli, 'events', '--type', 'decision.allowed', '--json', '--data', data])
  await expect.poll(() => events.output).toMatch(/dec_\w+/)
  const [decision = ''] = /dec_\w+/.exec(events.output) ?? []
  await using trace = new Program([cli, 'trace', decision, '--data', data])
  await expect.poll(() => trace.output).toMatch(/request\.approved[\s\S]*steps verified/)
})
