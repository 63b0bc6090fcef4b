import { cpSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, type System, startSystem } from '@bailiwick/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PlainClient } from '../demo/mcp-client.ts'
import { tell } from '../demo/story.ts'
import { eventually } from '../e2e/world.ts'
import { readYaml } from '../infra/compose-file.ts'
import { type ConsoleBlock, consoleBlocks, replay, type Scenario, Terminal } from './console-blocks.ts'

// Every `console` block of every page is replayed here: each command as it stands, with ids of this run in place of the page's.

const root = join(import.meta.dirname, '../..')
const textOf = (page: string) => readFileSync(join(root, page), 'utf8')
const pages = globSync(['*.md', '{docs,examples,infra,packages,policies,services,test}/**/*.md'], {
  cwd: root,
  exclude: (path) => /(^|\/)(node_modules|dist|\.venv|venv)$/.test(path),
}).toSorted()
const blocks = new Map(pages.flatMap((page) => consoleBlocks(page, textOf(page))).map((block) => [block.name, block]))

const cliPage = 'docs/reference/cli.md'
/** The first fenced block of a page in this language that contains this text. */
const fenced = (page: string, language: string, has: string): string =>
  [...textOf(page).matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm'))]
    .map(([, body = '']) => body)
    .find((body) => body.includes(has)) ?? ''

/** Needs no installation. */
const alone: Scenario[] = [
  { block: `${cliPage}: npx bailiwick init --data company --public-url https://bailiwick.example`, upTo: 'Next:' },
  {
    block: 'docs/operate/backup.md: npx bailiwick backup /mnt/backups/2026-11-26 --data company',
    before: (at) => mkdirSync(at.at('elsewhere')),
    names: (at) => ({ '/mnt/backups': at.at('elsewhere') }),
    after: (n, at) => n === 0 && renameSync(at.at('company'), at.at('company-before')),
  },
  {
    block: 'docs/audit/witness.md: npx bailiwick witness init witness.example/audit --state audit-witness',
    before: (at) => writeFileSync(at.at('company.vkey'), `${JSON.parse(at.read('company/trust.json')).log.vkey}\n`),
    as: (command) => command.replace('--port 8426', '--port 0'),
    staysOn: 2,
  },
  {
    block: 'docs/how-to/policies.md: npx bailiwick policy check company',
    before(at) {
      rmSync(at.at('company'), { recursive: true })
      cpSync(at.at('policies'), at.at('company'), { recursive: true })
      writeFileSync(
        at.at('company/mine.cedar'),
        `@id("also-granted") permit (principal is agent, action == Action::"tools/call", resource);
@id("too-late") forbid (principal, action, resource) when { 9223372036854775807 + 1 > 0 };`,
      )
    },
  },
  {
    block: 'docs/how-to/policies.md: npx bailiwick policy test company',
    before(at) {
      rmSync(at.at('company/mine.cedar'))
      const [, reads = '', sends = ''] = at.read('company/tests/starter.yaml').split(/^(?=- name: )/m)
      for (const file of globSync('*.yaml', { cwd: at.at('company/tests') })) rmSync(at.at('company/tests', file))
      const wrong = sends
        .replace(/^- name: .*/, '- name: one is still reading')
        .replace(/expect: .*/, 'expect: { decision: deny }')
      writeFileSync(at.at('company/tests/trifecta.yaml'), reads + wrong)
    },
  },
  {
    block: 'docs/how-to/policies.md: npx bailiwick policy explain policies request.json',
    before(at) {
      const tests = readYaml<{ request: object; expect: object }[]>('policies/tests/starter.yaml')
      const denied = tests.find((test) => JSON.stringify(test.expect).includes('destructive-needs'))
      writeFileSync(at.at('request.json'), JSON.stringify(denied?.request))
    },
  },
  {
    block: `docs/how-to/plain-pdp.md: echo '{"id":1,"policies":"policies","requests":[]}' | npx bailiwick policy evaluate --batch -`,
  },
  {
    block:
      'docs/how-to/plain-pdp.md: npx bailiwick serve policy-decision --policies company-policies --port 8423 --plain',
    async before(at) {
      mkdirSync(at.at('company-policies'))
      const policy = '@id("readers") permit (principal is user, action == Action::"read", resource is doc);'
      writeFileSync(at.at('company-policies/readers.cedar'), policy)
      plainPort = await freePort()
    },
    as: (command) => command.replace('8423', String(plainPort)),
    staysOn: 0,
    after: (n) => n === 0 && eventually(() => isHealthy(plainPort)),
  },
  { block: `${cliPage}: npx bailiwick verify --log copy` },
]
let plainPort = 0

const isHealthy = (port: number) =>
  fetch(`http://localhost:${port}/healthz`).then(
    ({ ok }) => ok,
    () => false,
  )

/** As after the first `npm start`: no approver is enrolled, and the sample request waits. */
const first: Scenario[] = [
  { block: `${cliPage}: npx bailiwick status` },
  { block: `${cliPage}: npx bailiwick serve issuer` },
  {
    block: `${cliPage}: npx bailiwick request --key .bailiwick/sample/forecaster.json --agent spiffe://bailiwick.local/agent/forecaster/i1 --authority authority.json --purpose 'Month-end forecast'`,
    before: (at) => writeFileSync(at.at('authority.json'), fenced(cliPage, 'json', 'bailiwick_task')),
  },
  {
    block:
      'examples/consumers/shell/README.md: examples/consumers/shell/ask.sh .bailiwick/sample/forecaster.json spiffe://bailiwick.local/agent/forecaster/i1',
  },
  {
    block: `${cliPage}: npx bailiwick registry apply registry.yaml`,
    before: (at) => writeFileSync(at.at('registry.yaml'), fenced(cliPage, 'yaml', 'A second tool server')),
  },
  {
    block: `${cliPage}: npx bailiwick verify`,
    after: (_, at) => cpSync(at.at('.bailiwick/evidence/log/checkpoint'), at.at('kept-checkpoint')),
  },
  {
    block: 'docs/operate/keys.md: npx bailiwick keys prepare credential',
    as(command, shown) {
      const kid = (line: RegExp) => shown.flatMap((each) => line.exec(each)?.[1] ?? [])[0]?.slice(0, 8) ?? ''
      const prepared = kid(/^credential key (\S+) is prepared/)
      const replaced = kid(/^credential +(\S+) +replaced/)
      return command.replace('J-cZPLls', prepared).replace('82UNYfmw', replaced)
    },
  },
  {
    block: `${cliPage}: npx bailiwick verify --old kept-checkpoint`,
    before: (at) =>
      expect.poll(() => at.read('.bailiwick/evidence/log/checkpoint')).not.toBe(at.read('kept-checkpoint')),
  },
  {
    block: `${cliPage}: npx bailiwick verify --log copy --vkey .bailiwick/evidence/log.vkey --old kept-checkpoint`,
    before(at) {
      cpSync(at.at('.bailiwick/evidence/log'), at.at('copy'), { recursive: true })
      const tile = tileOf(at)
      const bytes = readFileSync(tile)
      bytes.write('S', bytes.indexOf('specversion', bytes.length >> 1))
      writeFileSync(tile, bytes)
    },
    after: (n, at) => n === 0 && rmSync(tileOf(at)),
  },
  {
    block: `${cliPage}: npx bailiwick recover --root-key /media/offline/root.json --approver olga --name Olga --groups owners`,
    as: (command) => command.replace('/media/offline/root.json', '.bailiwick/keys/root/root.json'),
    upTo: 'From then on',
  },
]

const tileOf = (at: Terminal): string => {
  const [tile = ''] = globSync('tile/entries/000.p/*', { cwd: at.at('copy') })
    .toSorted((a, b) => Number(a.split('/').at(-1)) - Number(b.split('/').at(-1)))
    .slice(-1)
  return at.at('copy', tile)
}

/** After the story that `npm run demo` tells. */
const afterTheStory: Scenario[] = [
  {
    block: `${cliPage}: npx bailiwick events --agent spiffe://bailiwick.local/agent/reconciler --approver owner --type outcome --limit 2`,
  },
  {
    block: `${cliPage}: npx bailiwick trace grt_vH2jv68UWxHiexMgJzwyx3qKzNLe6OdSXcvd-_ocQxM --type decision.denied --reason action_not_granted --limit 1`,
    as: (command) => command.replace(/grt_\S+/, story.grant),
  },
  { block: `${cliPage}: npx bailiwick report --from 2026-11-01 --html > report.html` },
  {
    block:
      'docs/audit/witness.md: BAILIWICK_WITNESS_POLICY=witnesses.policy npx bailiwick serve --data site --port 18420',
    before: haveWitnesses,
    as: (command) => command.replace('18420', new URL(story.url).port).replace(/^BAILIWICK_/, 'env BAILIWICK_'),
    staysOn: 0,
    after: (n, at) =>
      n === 0 &&
      eventually(async () => {
        const { lines } = await at.run(`curl -s ${story.url}/log/checkpoint`)
        return lines.some((line) => line.startsWith('— witness.example/audit2 '))
      }),
  },
  { block: 'docs/audit/witness.md: npx bailiwick verify --log site/evidence/log --witness witnesses.policy' },
  {
    block:
      'docs/audit/witness.md: npx bailiwick receipt evt_01M8DSEVXNSZDT28FC32FGXER5 --data site > registered.tlog-proof',
    async before(at) {
      const { lines } = await at.run('npx bailiwick events --type service-key --limit 1 --json')
      story.event = /evt_\w+/.exec(lines.join('\n'))?.[0] ?? ''
    },
    as: (command) => command.replace(/evt_\w+/, story.event),
  },
  {
    block: 'docs/audit/witness.md: npx bailiwick prove dec_01M8E8SNWKN5V72BQXYA125PHB --data demo > action.json',
    async before(at) {
      const { lines } = await at.run('npx bailiwick events --type outcome.reported --limit 200')
      const done = lines.flatMap((line) => /(dec_\w+) +succeeded +invoices\/read /.exec(line)?.[1] ?? [])
      story.decision = done.at(-1) ?? ''
      at.link('site', 'demo')
      cpSync(at.at('site/trust.json'), at.at('trust.json'))
    },
    as: (command) => command.replace(/dec_\w+/, story.decision),
  },
  {
    block: 'docs/audit/erasure.md: npx bailiwick erase req_… --reason data_subject_request',
    as: (command) => `echo ERASE | ${command.replace('req_…', story.request)}`,
  },
]
const story = { url: '', grant: '', request: '', decision: '', event: '' }
let system: System | undefined

/** Ends the system, and starts two witnesses of its log, which two policies name. */
async function haveWitnesses(at: Terminal): Promise<void> {
  await system?.[Symbol.asyncDispose]()
  system = undefined
  const { vkey } = JSON.parse(at.read('site/trust.json')).log
  const lines = await Promise.all(
    ['audit', 'audit2'].map(async (name) => {
      const port = await freePort()
      await at.run(`npx bailiwick witness init witness.example/${name} --state ${name}`)
      writeFileSync(at.at(name, 'logs'), `${vkey}\n`)
      at.start(`npx bailiwick witness --state ${name} --port ${port}`)
      return `witness ${name} ${at.read(name, 'witness.vkey').trim()} http://127.0.0.1:${port}`
    }),
  )
  writeFileSync(
    at.at('witnesses.policy'),
    [`log ${vkey}`, ...lines, 'group both 2 audit audit2', 'quorum both', ''].join('\n'),
  )
  writeFileSync(at.at('demo.policy'), [`log ${vkey}`, lines[0], 'quorum audit', ''].join('\n'))
}

/** In an installation of `bailiwick dev`, which the first block starts. */
const withAProgram: Scenario[] = [
  {
    block: 'docs/start/dev.md: npx bailiwick dev --env .env.dev',
    as: (command) => `${command} --port ${devPort}`,
    staysOn: 0,
    after: (_, at) => at.use(/^BAILIWICK_DATA=(.*)$/m.exec(at.read('.env.dev'))?.[1] ?? ''),
  },
  {
    block:
      'docs/start/register.md: npx bailiwick keys agent spiffe://bailiwick.local/agent/ledger --owner owner --out keys > registry.yaml',
  },
  {
    block:
      'docs/start/register.md: npx bailiwick keys point ledger-api --resource tool:ledger/read --resource tool:ledger/post --base-url http://localhost:8440 --out keys >> registry.yaml',
    after: (_, at) =>
      writeFileSync(at.at('registry.yaml'), fenced('docs/start/register.md', 'yaml', 'tool_servers'), { flag: 'a' }),
  },
  { block: 'docs/start/register.md: npx bailiwick registry apply registry.yaml --wait' },
  {
    block: 'docs/how-to/gateway-add.md: npx bailiwick gateway add mcp notes --wait -- node notes.mjs',
    before: (at) => cpSync(at.at('examples/mcp-servers/notes/server.mjs'), at.at('notes.mjs')),
  },
  {
    block: 'docs/how-to/gateway-add.md: npx bailiwick gateway diff notes',
    before(at) {
      const changed = at.read('notes.mjs').replace('Reads a note.', 'Reads a note, and its history.')
      writeFileSync(at.at('notes.mjs'), changed.replace('write_note', 'append_note'))
    },
  },
  {
    block: `${cliPage}: npx bailiwick registry apply registry.yaml --wait`,
    before: (at) => writeFileSync(at.at('registry.yaml'), fenced(cliPage, 'yaml', 'A second tool server')),
  },
  {
    block:
      'docs/how-to/attestation.md: npx bailiwick agents join-token spiffe://acme.example/agent/ledger --instance laptop --minutes 10',
    async before(at) {
      const agent = { id: joiner, name: 'joiner', owner: 'owner', attestor: { kind: 'join_token' }, labels: [] }
      writeFileSync(at.at('joiner.yaml'), JSON.stringify({ agents: [{ ...agent, proactive_requests: true }] }))
      await at.run('npx bailiwick registry apply joiner.yaml --wait')
    },
    names: () => ({ 'spiffe://acme.example/agent/ledger': joiner }),
  },
  {
    block: `${cliPage}: npx bailiwick revoke grant grt_lGOUxPYFrN9F2gISgeVzPaOGfehs03HkNWFu3Yrf34A --reason 'laptop lost'`,
    async before(at) {
      writeFileSync(at.at('authority.json'), fenced(cliPage, 'json', 'bailiwick_task'))
      const agent = '--agent spiffe://bailiwick.local/agent/forecaster/i1 --key .bailiwick/sample/forecaster.json'
      const { lines } = await at.run(`npx bailiwick request ${agent} --authority authority.json --wait`)
      story.grant = /grt_[\w-]+/.exec(lines.join('\n'))?.[0] ?? ''
    },
    as: (command) => command.replace(/grt_\S+/, story.grant),
  },
]
let devPort = 0
const joiner = 'spiffe://bailiwick.local/agent/joiner'

const minutesPage = 'docs/start/mcp-servers.md'
const runPage = 'docs/how-to/agent-run.md'

/** A server of tools, from nothing to an approved call. */
const fiveMinutes: Scenario[] = [
  {
    block: `${minutesPage}: npx bailiwick dev --data .bailiwick`,
    as: (command) => `${command} --port ${minutes.port}`,
    staysOn: 0,
  },
  {
    block: `${minutesPage}: npx bailiwick gateway add mcp notes --wait -- node examples/mcp-servers/notes/server.mjs`,
    as: (command) => command.replace('--wait', `--wait --public-url http://localhost:${minutes.gateway}`),
  },
  {
    block: `${minutesPage}: npx bailiwick serve gateway --config gateway.yaml`,
    as: (command) => `${command} --port ${minutes.gateway}`,
    staysOn: 0,
    after: () => eventually(() => isHealthy(minutes.gateway)),
  },
  {
    block: `${runPage}: npx bailiwick agent run --gateway http://localhost:8425 --agent spiffe://bailiwick.local/agent/reconciler/i1 --key .bailiwick/sample/reconciler.json --task task.json --mcp notes -- env`,
    before: (at) => writeFileSync(at.at('task.json'), fenced(runPage, 'json', 'bailiwick_task')),
    as: (command) => command.replace('8425', String(minutes.gateway)),
  },
  {
    block: `${minutesPage}: npx bailiwick events --type outcome.reported --resource notes/write_note`,
    async before(at) {
      await asAModelDoes(at, fenced(minutesPage, 'sh', 'agent mcp'))
      const isTold = async () => (await at.run(eventsOfNotes)).lines.join().includes('succeeded')
      await eventually(isTold)
    },
    as: (command, shown) => command.replace(/dec_\w+/, /dec_\w+/.exec(shown.join('\n'))?.[0] ?? ''),
  },
]
const eventsOfNotes = 'npx bailiwick events --type outcome.reported --resource notes/write_note'
const minutes = { port: 0, gateway: 0 }

/** The client that starts the page's command, and what the page says of it. */
async function asAModelDoes(at: Terminal, command: string): Promise<void> {
  const words = command.replaceAll('\\\n', ' ').replace('8425', String(minutes.gateway)).trim().split(/\s+/)
  await using client = await PlainClient.open(words.slice(words.indexOf('agent')), at.folder)
  expect(await client.tools()).toContain('write_note')
  const write = (name: string) => client.call('write_note', { name, text: 'We begin.' })
  expect(await write('meeting-1')).toContain('bailiwick_request_access')
  const asked = {
    task: 'keep-meeting-notes',
    permissions: [{ tool: 'write_note', where: { '/name': { prefix: 'meeting-' } } }],
    reason: 'The user asked for a note.',
  }
  expect(await client.call('bailiwick_request_access', asked)).toContain('Approved')
  await expect.poll(() => write('meeting-1')).toBe('Written.')
  expect(await write('salaries')).toContain('argument_out_of_bounds')
}

/** Blocks that are not replayed, and why. */
const notReplayed: Record<string, string> = {
  'docs/how-to/gateway-models.md: npx bailiwick report':
    'agents that pay for models: npm run demo -- --models, and packages/cli/src/commands/report.test.ts',
  'docs/how-to/policies.md: npx bailiwick policy replay company --day 2026-11-27':
    'a day of recorded decisions, and a policy set that differs from the active one',
  'docs/how-to/policies.md: npx bailiwick policy shadow company':
    'thousands of decisions while a candidate is asked beside the active set',
  [`${cliPage}: npx bailiwick kafka topics apply`]: 'Kafka: packages/cli/src/commands/kafka.int.test.ts',
  [`${cliPage}: npx bailiwick kafka topics check`]: 'Kafka: packages/cli/src/commands/kafka.int.test.ts',
  [`${cliPage}: npx bailiwick kafka acls check`]: 'Kafka: packages/cli/src/commands/kafka.int.test.ts',
}

it('each console block of each page is replayed below, or it says why not', () => {
  const replayed = [...alone, ...first, ...afterTheStory, ...withAProgram, ...fiveMinutes].map(({ block }) => block)
  expect([...replayed, ...Object.keys(notReplayed)].toSorted()).toEqual([...blocks.keys()].toSorted())
})

const blockOf = (name: string): ConsoleBlock => {
  const block = blocks.get(name)
  if (block === undefined) throw new Error(`no page has ${name}`)
  return block
}

describe('the commands that a page shows', () => {
  describe('without an installation', () => {
    let terminal: Terminal
    beforeAll(() => {
      terminal = new Terminal()
    })
    afterAll(() => terminal[Symbol.asyncDispose]())
    it.each(alone)('$block', (scenario) => play(terminal, scenario))
  })

  describe('after the first start', () => {
    let terminal: Terminal
    beforeAll(async () => {
      const port = await freePort()
      terminal = new Terminal()
      terminal.start(`env BAILIWICK_PORT=${port} npx bailiwick serve`)
      const requests = async () => (await terminal.run('npx bailiwick requests')).lines.join('\n')
      await eventually(async () => (await requests()).includes('reconcile-q3-invoices'))
    })
    afterAll(() => terminal[Symbol.asyncDispose]())
    it.each(first)('$block', (scenario) => play(terminal, scenario))
  })

  describe('after the story of the demo', () => {
    let terminal: Terminal
    beforeAll(async () => {
      terminal = new Terminal()
      system = await startSystem({ data: terminal.at('site') })
      terminal.use(system.data)
      story.url = system.url
      await tell(system, async (_, tellIt) => {
        const said = await tellIt()
        story.request ||= /req_[\w-]+/.exec(said)?.[0] ?? ''
        story.grant ||= /grt_[\w-]+/.exec(said)?.[0] ?? ''
      })
    })
    afterAll(async () => {
      await system?.[Symbol.asyncDispose]()
      await terminal[Symbol.asyncDispose]()
    })
    it.each(afterTheStory)('$block', (scenario) => play(terminal, scenario))
  })

  describe('where a program approves', () => {
    let terminal: Terminal
    beforeAll(async () => {
      devPort = await freePort()
      terminal = new Terminal()
    })
    afterAll(() => terminal[Symbol.asyncDispose]())
    it.each(withAProgram)('$block', (scenario) => play(terminal, scenario))
  })

  describe('with an MCP server, in five minutes', () => {
    let terminal: Terminal
    beforeAll(async () => {
      Object.assign(minutes, { port: await freePort(), gateway: await freePort() })
      terminal = new Terminal()
    })
    afterAll(() => terminal[Symbol.asyncDispose]())
    it.each(fiveMinutes)('$block', (scenario) => play(terminal, scenario))
  })
})

async function play(terminal: Terminal, scenario: Scenario): Promise<void> {
  await scenario.before?.(terminal)
  await replay(terminal, blockOf(scenario.block), scenario)
}
