import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { InitialEntities } from '@bailiwick/installation'
import { enrolApprover, freePort, startSystem } from '@bailiwick/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readYaml } from '../infra/compose-file.ts'
import { missingPrograms, pythonWithPackages } from './programs.ts'

// examples/research-crew, by the commands of its README: six agents in two languages, one budget, one tree, one stop.

const root = join(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'examples/research-crew/README.md'), 'utf8')
const missing = process.env.CI === 'true' ? [] : missingPrograms().filter((each) => each.startsWith('python3'))
const price = 0.2

/** The commands of the page's block of this name. */
function commandOf(name: string): string {
  const found = new RegExp(`^\`\`\`sh ${name}\\n([\\s\\S]*?)^\`\`\``, 'm').exec(page)?.[1]
  if (found === undefined) throw new Error(`the page has no commands ${name}`)
  return found
}

class Program implements AsyncDisposable {
  output = ''
  readonly #child: ChildProcess
  readonly ended: Promise<unknown>

  constructor(command: string, env: NodeJS.ProcessEnv) {
    // A group of its own: a shell passes no signal on to what it started.
    this.#child = spawn('bash', ['-ec', command], {
      cwd: root,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    this.ended = once(this.#child, 'close')
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on('data', (chunk) => (this.output += String(chunk)))
  }

  async [Symbol.asyncDispose]() {
    if (this.#child.pid !== undefined && this.#child.exitCode === null) process.kill(-this.#child.pid, 'SIGTERM')
    await this.ended
  }
}

/** What a crew says in the end: how often each scout searched, why it stopped, and the sum. */
function told(output: string) {
  const reports = [...output.matchAll(/^(scout-\d) searched (\d+) times, then: (\w+)$/gm)]
  return {
    grant: /^(grt_\S+): EUR/m.exec(output)?.[1] ?? '',
    searches: reports.map(([, , count]) => Number(count)),
    endings: reports.map(([, , , ended = '']) => ended),
    spent: Number(/^spent EUR (\S+) of/m.exec(output)?.[1]),
  }
}

describe.skipIf(missing.length > 0)('the research crew', () => {
  mkdirSync(join(root, 'out'), { recursive: true })
  const folder = mkdtempSync(join(root, 'out/crew-'))
  let library = ''
  let port = 0
  let python = ''

  /** The page's commands, with this test's folder, ports and Python. */
  function command(name: string, names: Record<string, string> = {}): string {
    const here = commandOf(name)
      .replaceAll('crew-python/bin/python', python)
      .replaceAll(/(?<![-/\w])crew\//g, `${folder}/crew/`)
    const text = Object.entries(names).reduce((all, [from, to]) => all.replaceAll(from, to), here)
    return name === 'set-up'
      ? `${text.trim().replace(/ crew$/, ` ${folder}/crew`)} ${library}`
      : text.replace('bailiwick dev', `bailiwick dev --port ${port}`)
  }

  const run = (name: string, env: NodeJS.ProcessEnv = {}, names: Record<string, string> = {}) =>
    new Program(command(name, names), {
      ...process.env,
      CREW: join(folder, 'crew'),
      LIBRARY: library,
      PYTHONPATH: join(root, 'clients/python/src'),
      PYTHONDONTWRITEBYTECODE: '1',
      ...env,
    })

  const served = () =>
    fetch(`${library}/served`).then(
      async (answer) => ((await answer.json()) as { served: number }).served,
      () => undefined,
    )

  beforeAll(async () => {
    python = await pythonWithPackages(join(root, 'clients/python'))
    port = await freePort()
    library = `http://localhost:${await freePort()}`
    await using made = run('set-up')
    await made.ended
    if (!existsSync(join(folder, 'crew/registry.yaml'))) throw new Error(made.output)
    expect(readFileSync(join(folder, 'crew/registry.yaml'), 'utf8'), made.output).toContain('scout-5')
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('spends its budget and no cent more, as one tree, and a command stops all of it', async () => {
    await using dev = run('dev')
    await expect.poll(() => dev.output).toContain('Bailiwick is ready')
    await using api = run('library')
    await expect.poll(served, { message: api.output }).toBe(0)
    await using crew = run('lead')
    await crew.ended
    const first = told(crew.output)
    expect(first.endings, crew.output).toEqual(Array(5).fill('budget_exhausted'))
    expect(first.spent).toBeCloseTo(Number(await served()) * price)
    expect(first.spent).toBeLessThanOrEqual(5)
    // Under load a decision that came too late is paid and does not run, so fewer may run; but a race that all lose is none.
    expect(first.searches.filter((count) => count > 0).length).toBeGreaterThan(1)

    await using tracing = run('trace', {}, { GRANT: first.grant })
    await tracing.ended
    const tree = tracing.output
    expect(tree.match(/delegation\.redeemed/g)).toHaveLength(5)
    expect(tree.match(/decision\.allowed/g)?.length).toBeLessThanOrEqual(5 / price)
    expect(tree).toMatch(/All \d+ steps verified/)

    await using again = run('long')
    await expect.poll(async () => Number(await served()) * price).toBeGreaterThan(first.spent + 1)
    await using stopping = run('stop', {}, { GRANT: told(again.output).grant })
    await again.ended
    expect(stopping.output).not.toContain('bailiwick:')
    const stopped = told(again.output)
    expect(stopped.endings).toHaveLength(5)
    for (const ended of stopped.endings) expect(page).toContain(`\`${ended}\``)
    expect(stopped.spent).toBeLessThan(1000)
  })

  it('is one picture in the console, where one click stops it', async () => {
    // Nothing of another installation's.
    writeFileSync(join(folder, 'crew/env'), '')
    rmSync(join(folder, 'crew/outcomes.json'), { force: true })
    const { agents, enforcement_points, tool_servers, rules } = readYaml<Record<string, unknown[]>>(
      join(folder, 'crew/registry.yaml').slice(root.length + 1),
    )
    const of = (type: string, values: unknown[] = []) => values.map((value) => ({ type, value }))
    const entities = [
      ...of('agent', agents),
      ...of('enforcement-point', enforcement_points),
      ...of('tool-server', tool_servers),
      ...of('rule', rules),
    ] as InitialEntities
    await using system = await startSystem({ entities: () => entities })
    const approver = await enrolApprover(system)
    const env = {
      BAILIWICK_URL: system.url,
      BAILIWICK_INSTALLATION: system.trust.installation,
      BAILIWICK_TRUST: join(system.data, 'trust.json'),
    }
    await using api = run('library', env)
    await expect.poll(served, { message: api.output }).toBe(0)
    await using crew = run('long', env)
    await expect.poll(async () => (await approver.state()).requests).toHaveLength(1)
    const [{ id = '' } = {}] = (await approver.state()).requests
    await approver.approve(id)
    await expect.poll(served).toBeGreaterThan(10)

    const { items } = await approver.get<{ items: Grant[] }>('/console/api/grants')
    expect(items).toHaveLength(1)
    const [{ chain, taken } = { chain: [], taken: { calls: 0 } }] = items
    expect(chain.map(({ from }) => from.name).toSorted()).toEqual([
      'scout-1',
      'scout-2',
      'scout-3',
      'scout-4',
      'scout-5',
    ])
    expect(chain.every(({ state, children }) => state === 'active' && children.length === 0)).toBe(true)
    expect(taken.calls).toBeGreaterThan(10)

    await approver.withdraw(id)
    await crew.ended
    const { endings } = told(crew.output)
    expect(endings, crew.output).toHaveLength(5)
    for (const ended of endings) expect(page).toContain(`\`${ended}\``)
  })
})

interface Grant {
  chain: { from: { name: string }; state: string; children: unknown[] }[]
  taken: { calls: number }
}
