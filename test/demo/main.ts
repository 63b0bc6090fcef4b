import { parseArgs } from 'node:util'
import { isInitialised } from '@bailiwick/installation'
import {
  missingParts,
  type PlaceOptions,
  type Processes,
  type RunningSystem,
  startProcesses,
  startSystem,
} from '@bailiwick/testkit'
import { hasCodex } from './mcp-model.ts'
import { tellMcp } from './mcp-story.ts'
import { tellModels } from './models-story.ts'
import { type Step, tell } from './story.ts'
import { missingForSurfaces } from './surfaces-parts.ts'
import { tellSurfaces } from './surfaces-story.ts'

const usage = `npm run demo [-- --kafka | --mcp | --models | --surfaces] [-- --json] [-- --data DIR]

Tells the whole story unattended, on the embedded default. Exit code 0 only if every step held.
  --mcp       tells another story: MCP servers behind the gateway, and a model in Codex CLI. Without Codex
              (npm ci --ignore-scripts in test/judges), or with --plain, a plain MCP client makes the same calls
  --models    tells another story: models behind the gateway, whose provider follows a script. Five sub-agents race for one dollar
  --surfaces  tells another story: one approval for an MCP server, an HTTP API, PostgreSQL and an application in which people log in.
              It needs PostgreSQL, and Python with venv; the first time it installs Django from PyPI
  --kafka     with each service as a process of its own, policy-decision twice, on a real Kafka and a real Redis, which are
              started for it
  --json      prints only [{step, ok, ms, detail}]
  --data DIR  keeps the state in DIR, which must not hold an installation yet`

const { values } = readArguments()
if (values.help) {
  console.log(usage)
  process.exit(0)
}

if ([values.mcp, values.models, values.surfaces, values.kafka].filter((chosen) => chosen).length > 1) {
  console.error('Choose one of --mcp, --models, --surfaces and --kafka: each is a story of its own.')
  process.exit(1)
}

if (values.data !== undefined && isInitialised(values.data)) {
  console.error(
    `${values.data} holds an installation already: the story needs a new one. Give another --data, or delete it.`,
  )
  process.exit(1)
}

const missing = values.kafka ? await missingParts('kafka', 'redis') : values.surfaces ? await missingForSurfaces() : []
for (const part of missing) console.error(part)
if (missing.length > 0) process.exit(1)

const steps: Step[] = []
const say = (line: string) => {
  if (!values.json) console.log(line)
}

async function step(title: string, run: () => Promise<string>): Promise<void> {
  const number = steps.length + 1
  const started = performance.now()
  const outcome = await run().then(
    (detail) => ({ ok: true, detail }),
    (error) => ({ ok: false, detail: error instanceof Error ? error.message : String(error) }),
  )
  const ms = Math.round(performance.now() - started)
  steps.push({ step: number, ms, ...outcome })
  say(`${number}. ${title}   [${ms} ms]`)
  say(`   ${outcome.ok ? '✓' : '✗'} ${outcome.detail}`)
  if (!outcome.ok) throw new Error('the story ends here')
}

try {
  const place = values.data === undefined ? {} : { data: values.data }
  await using system: RunningSystem = values.kafka ? await allReady(place) : await startSystem(place)
  say(`Bailiwick demo: installation ${system.trust.installation} at ${system.url}, one operator, software passkey`)
  if (values.kafka)
    say('Processes: issuer, approval, evidence, 2 × policy-decision; Kafka with TLS, SCRAM and ACLs; Redis')
  if (values.mcp || values.models || values.surfaces)
    say(
      'A program plays the person. The commands also name a temporary folder and a free port, which are left out here.',
    )
  say('')
  if (values.mcp) await tellMcp(system, step, { codex: hasCodex() && !values.plain })
  else if (values.models) await tellModels(system, step)
  else if (values.surfaces) await tellSurfaces(system, step)
  else await tell(system, step, values.kafka ? { withinMs: 2000 } : {})
  say('')
  say(`All ${steps.length} steps held.${values.data === undefined ? '' : ` The state is in ${values.data}.`}`)
} catch (error) {
  process.exitCode = 1
  if (steps.every(({ ok }) => ok)) console.error(error)
}
if (values.json) console.log(JSON.stringify(steps))

/** Resolves once every process is ready, not only one of each service: the story uses both decision points in turn. */
async function allReady(place: PlaceOptions): Promise<Processes> {
  await using started = new AsyncDisposableStack()
  const system = started.use(await startProcesses(place))
  await Promise.all(Object.values(system.processes).flatMap((all) => all.map((process) => process.ready())))
  started.move()
  return system
}

function readArguments() {
  try {
    return parseArgs({
      options: {
        kafka: { type: 'boolean', default: false },
        mcp: { type: 'boolean', default: false },
        models: { type: 'boolean', default: false },
        surfaces: { type: 'boolean', default: false },
        plain: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        data: { type: 'string' },
        help: { type: 'boolean' },
      },
    })
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${usage}`)
    process.exit(1)
  }
}
