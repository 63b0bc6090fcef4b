import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startFixture } from './fixture.ts'
import { cli, type Installation, modelPermission, openInstallation } from './installation.ts'
import { installed, judges, lacksJudges, runScript } from './programs.ts'
import { type NextTurn, scriptedModel } from './scripted-model.ts'

const permitServer = join(import.meta.dirname, '../../examples/mcp-servers/permit/server.mjs')
const tool = 'test_simple_text'
const said = 'This is a simple text response for testing.'
/** Stands in the environment of each program here, and must reach none of them. */
const real = { OPENAI_API_KEY: 'sk-real-0123456789abcdef', GITHUB_TOKEN: 'ghp_0123456789abcdefghijklmnop' }

describe.skipIf(lacksJudges)('a program of others under `bailiwick agent run`, unmodified', () => {
  const opened = new AsyncDisposableStack()
  let world: Installation
  let model: Awaited<ReturnType<typeof scriptedModel>>
  let next: NextTurn
  let folder: string

  beforeAll(async () => {
    model = opened.use(await scriptedModel((shown) => next(shown)))
    const fixture = opened.use(await startFixture())
    world = opened.use(
      await openInstallation({
        servers: { tools: { url: fixture.url }, permit: { command: [process.execPath, permitServer, 'Bash'] } },
        models: { acme: new URL('/', model.url).href },
      }),
    )
  })
  afterAll(() => opened.disposeAsync())
  beforeEach(() => {
    // Codex makes no helpers in the system's folder for temporary files.
    const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'bailiwick')
    mkdirSync(cache, { recursive: true })
    folder = mkdtempSync(join(cache, 'run-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const write = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }

  /** Asks for this task, has a person say yes, and runs the program to its end. */
  async function runApproved(
    name: string,
    permissions: readonly object[],
    reach: readonly string[],
    command: string[],
  ) {
    const budget = { calls: 100, cost: { USD: '1' } }
    const task = write('task.json', JSON.stringify({ type: 'bailiwick_task', task: name, permissions, budget }))
    const words = [...world.run(), '--task', task, ...reach, '--', ...command]
    const ended = runScript(cli, words, { cwd: folder, env: { HOME: folder, ...real } })
    const waiting = async () => {
      const page = await world.approver.get<{ items: { id: string }[] }>('/console/api/requests?state=pending')
      return page.items.map(({ id }) => id)
    }
    let early: Awaited<typeof ended> | undefined
    void ended.then((each) => (early = each))
    await expect.poll(async () => early ?? (await waiting()).length).toBe(1)
    const [id = ''] = await waiting()
    await world.approver.approve(id)
    return { ...(await ended), id }
  }
  /** Writes a configuration and starts Codex. A person would write the address that agent run gives into it in the same way. */
  const startScript = (option: string, more = '') => `#!/bin/sh
export CODEX_HOME=${JSON.stringify(folder)}
cat > "$CODEX_HOME/config.toml" <<END
model = "scripted"
model_provider = "acme"
approval_policy = "never"
sandbox_mode = "read-only"
web_search = "disabled"

[model_providers.acme]
name = "acme"
base_url = "$OPENAI_BASE_URL"
wire_api = "responses"
env_key = "OPENAI_API_KEY"

END
cat servers.toml >> "$CODEX_HOME/config.toml"
${more}
exec ${JSON.stringify(process.execPath)} ${JSON.stringify(judges.codex())} exec ${option} --skip-git-repo-check --json go
`
  const tools = { actions: ['tools/call'], resource: { type: 'tool', id: `tools/${tool}` } }

  it('Codex CLI calls a tool, and its model, under one task', async () => {
    const config = await runScript(cli, [...world.run(), '--mcp', 'tools', '--print-config', 'codex'])
    expect(config.code, config.err).toBe(0)
    write('servers.toml', config.out)
    const before = model.shown.length
    next = ({ output }) =>
      model.shown.length === before + 1
        ? { tool, namespace: 'mcp__tools', arguments: {} }
        : { say: `the tool said: ${output}` }
    const start = write(
      'start.sh',
      startScript(
        '',
        'printf \'default_tools_approval_mode = "approve"\\nrequired = true\\n\' >> "$CODEX_HOME/config.toml"',
      ),
    )
    chmodSync(start, 0o755)
    // It needs no network but what it is given.
    const reach = ['--mcp', 'tools', '--openai', 'acme', '--network', 'none']
    const { code, out, err } = await runApproved('codex', [tools, modelPermission('acme')], reach, [start])
    expect({ code, out, err }).toMatchObject({ code: 0, out: expect.stringContaining('the tool said: ') })
    expect(out).toContain(said)
    for (const key of model.keys) expect(key ?? '').not.toMatch(/sk-real|placeholder/)
  })

  it('Codex CLI calls a tool, its model and its hook in one run', async () => {
    const config = await runScript(cli, [...world.run(), '--mcp', 'tools', '--print-config', 'codex'])
    const printed = await runScript(cli, [...world.run(), '--mcp', 'permit', '--print-hook', 'permit'])
    expect([config.code, printed.code], config.err + printed.err).toEqual([0, 0])
    write('servers.toml', config.out)
    write('hooks.json', printed.out)
    const before = model.shown.length
    const seen: string[] = []
    next = ({ output }) => {
      const n = model.shown.length - before
      if (n > 1) seen.push(output)
      if (n === 1) return { tool, namespace: 'mcp__tools', arguments: {} }
      if (n > 3) return { say: 'done' }
      return { tool: 'exec_command', arguments: { cmd: n === 2 ? 'echo per"mit"ted' : 'echo for"bid"den' } }
    }
    const start = write(
      'start.sh',
      startScript(
        '--dangerously-bypass-hook-trust',
        'printf \'default_tools_approval_mode = "approve"\\nrequired = true\\n\' >> "$CODEX_HOME/config.toml"',
      ),
    )
    chmodSync(start, 0o755)
    const where = { '/command': { eq: 'echo per"mit"ted' } }
    const bash = { actions: ['tools/call'], resource: { type: 'tool', id: 'permit/Bash' }, where }
    const reach = ['--mcp', 'tools', '--mcp', 'permit', '--openai', 'acme', '--network', 'none']
    const { code, out, err } = await runApproved('all', [tools, bash, modelPermission('acme')], reach, [start])
    expect({ code, out, err, seen }).toMatchObject({
      code: 0,
      seen: [
        expect.stringContaining(said),
        expect.stringContaining('permitted'),
        expect.not.stringContaining('forbidden'),
      ],
    })
    expect(seen[2]).toContain('Denied')
  })

  it('Codex CLI asks its hook before it uses its shell, and obeys', async () => {
    const before = model.shown.length
    const seen: string[] = []
    next = ({ output }) => {
      const n = model.shown.length - before
      if (n > 1) seen.push(output)
      if (n > 2) return { say: 'done' }
      return { tool: 'exec_command', arguments: { cmd: n === 1 ? 'echo per"mit"ted' : 'echo for"bid"den' } }
    }
    write(
      'hooks.json',
      JSON.stringify({
        hooks: {
          PreToolUse: [
            { hooks: [{ type: 'command', command: `${process.execPath} ${cli} agent hook permit`, timeout: 100 }] },
          ],
        },
      }),
    )
    const start = write('start.sh', startScript('--dangerously-bypass-hook-trust'))
    chmodSync(start, 0o755)
    write('servers.toml', '')
    const where = { '/command': { eq: 'echo per"mit"ted' } }
    const bash = { actions: ['tools/call'], resource: { type: 'tool', id: 'permit/Bash' }, where }
    const reach = ['--mcp', 'permit', '--openai', 'acme']
    const { code, out, err } = await runApproved('hook', [bash, modelPermission('acme')], reach, [start])
    expect({ code, out, err, seen }).toMatchObject({
      code: 0,
      seen: [expect.stringContaining('permitted'), expect.not.stringContaining('forbidden')],
    })
    expect(seen[1]).toContain('Denied')
  })

  it('the SDK of OpenAI calls a model by the addresses that it reads from its environment', async () => {
    next = () => ({ say: 'Hello world' })
    const script = `
const { default: OpenAI } = await import(${JSON.stringify(installed('openai', 'index.mjs'))})
const client = new OpenAI()
const answered = await client.responses.create({ model: 'scripted', input: [{ role: 'user', content: 'Hi' }], max_output_tokens: 50, stream: true })
let last
for await (const event of answered) last = event
console.log(last.type, client.apiKey)
`
    const command = [process.execPath, write('sdk.mjs', script)]
    const { code, out, err } = await runApproved('sdk', [modelPermission('acme')], ['--openai', 'acme'], command)
    expect([code, out.trim()], err).toEqual([0, 'response.completed bailiwick-placeholder-no-key'])
    expect(err).toContain('OPENAI_API_KEY')
  })

  it('the inspector lists and calls tools at the address that it reads from its environment', async () => {
    const inspect = `exec ${JSON.stringify(process.execPath)} ${JSON.stringify(judges.inspector())} --cli "$BAILIWICK_MCP_TOOLS" --transport http`
    const start = write(
      'inspect.sh',
      `#!/bin/sh\n(${inspect} --method tools/list) && ${inspect} --method tools/call --tool-name ${tool}\n`,
    )
    chmodSync(start, 0o755)
    const { code, out, err } = await runApproved('inspect', [tools], ['--mcp', 'tools'], [start])
    expect([code, out], err).toEqual([0, expect.stringContaining(said)])
    expect(out).toContain('bailiwick_request_access')
  })
})
