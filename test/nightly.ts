import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { commitNow, freePage, machine, plain } from './run-page.ts'

// npm run nightly [-- demo | chaos | redis-losses | reserve-settle | kafka-faults | kills | distributed | outages | recovery | starved | containers | parts-in-containers | helm | models-race | abuse | interleavings | rotations | trifecta | reference | compiled-policies | logs | mastra | first-agent | packages | canaries | mcp-canaries | mutants | stryker]
// npm run nightly -- outages: BAILIWICK_OUTAGES=3600 chooses how long the broker is away, in s.
// npm run nightly -- kills --count 10000, and compiled-policies: campaigns that go on where they were interrupted; their options stand in
// test/chaos/campaign.ts and test/reference/compiled-campaign.ts.
// The long counts, whose smoke counts CI runs: each writes test/runs/<date>-<name>.md, the second of a day <date>-<name>-2.md.

const root = join(import.meta.dirname, '..')
const seed = Number(process.env.BAILIWICK_SEED ?? randomBytes(4).readUInt32BE())

interface Run {
  name: string
  about: string
  command: string[]
  env?: NodeJS.ProcessEnv
  /** Selects the lines of output worth keeping. */
  keep: (line: string) => boolean
  /** It continues over many nights, and writes its page itself. */
  ownPage?: true
}

const vitest = [process.execPath, join(root, 'test/run.ts')]
/** Keeps the closing line, vitest's line for each test with the reason of a failure, and the tests' own output. */
const ofTests = (said?: RegExp) => (line: string) =>
  said?.test(line) || /^\d+ passed, \d+ failed|^\s*(✓|×|→|AssertionError)/.test(line)

const runs: Run[] = [
  {
    name: 'demo',
    about:
      'The demo on a real Kafka and a real Redis, repeatedly (50 times, or `--count`), next to six processes that never wait: each run starts five services anew and plays the whole story.',
    command: [process.execPath, join(import.meta.dirname, 'demo/many.ts')],
    keep: (line) => line.startsWith('demo: '),
  },
  {
    name: 'chaos',
    about:
      'The standalone process is killed with SIGKILL at 200 random moments of the story, and started again on the same data; then the audit passes and everything acknowledged is in the log exactly once.',
    command: [
      ...vitest,
      '--project',
      'chaos',
      '--exclude',
      '**/redis-losses.test.ts',
      '--exclude',
      '**/reserve-*.test.ts',
      '--exclude',
      '**/distributed/**',
    ],
    env: { BAILIWICK_NIGHTLY: '1' },
    keep: ofTests(/^chaos: /),
  },
  {
    name: 'redis-losses',
    about:
      'Two decision points share a Redis that, 20 times each under load, is flushed, started again empty, started again from an older snapshot, failed over to a replica that missed writes, and made to evict. Every proof made is then sent to both again, and the log is counted.',
    command: [...vitest, '--project', 'chaos', 'test/chaos/redis-losses.test.ts'],
    env: { BAILIWICK_NIGHTLY: '1' },
    keep: ofTests(),
  },
  {
    name: 'reserve-settle',
    about:
      'Two decision points share a Redis that is flushed 500 times each between a reservation, of calls and of bytes, and its settlement. One point is killed with SIGKILL 500 times in between, embedded and with a Redis. Never more is taken than was approved, and the rest can be used to the last unit.',
    command: [...vitest, '--project', 'chaos', 'test/chaos/reserve-'],
    env: { BAILIWICK_NIGHTLY: '1' },
    keep: ofTests(/^chaos: /),
  },
  {
    name: 'kafka-faults',
    about:
      'Three brokers under load: the leader is killed 5 times, stopped for 12 s 3 times, all are restarted in turn twice; nothing acknowledged is lost, doubled or reordered, and all clients continue without help. Times in ms: the longest pause of any partition.',
    command: [...vitest, '--project', 'int', 'packages/bus/src/kafka/faults-'],
    env: { BAILIWICK_NIGHTLY: '1' },
    keep: ofTests(/^kafka-faults: /),
  },
  {
    name: 'kills',
    about: 'A campaign of kills in slices (test/chaos/campaign.ts), which writes a page of its own.',
    // As much as a night has time for, unless `--minutes` is given.
    command: [process.execPath, join(import.meta.dirname, 'chaos/campaign.ts'), '--minutes', '240'],
    keep: () => false,
    ownPage: true,
  },
  {
    name: 'distributed',
    about:
      'The story played with the services as processes, on a secure Kafka and a Redis: the broker killed 30 times, Redis flushed, emptied, set back and made to evict 20 times each, one decision point cut off, the issuer dead, standbys taking over, poison on every topic. After each, the answers to people and agents are compared with the log.',
    command: [
      ...vitest,
      '--project',
      'chaos',
      '--no-file-parallelism',
      '--exclude',
      '**/kills.test.ts',
      '--exclude',
      '**/starved.test.ts',
      '--exclude',
      '**/recovery.test.ts',
      '-t',
      '^(?!.*(the broker gone|killed at once))',
      'test/chaos/distributed',
    ],
    env: { BAILIWICK_NIGHTLY: '1' },
    keep: ofTests(/^(chaos|broker|cut off|mended|dead issuer|Redis \w+|\w+ (killed|stopped|stalled)): /),
  },
  {
    name: 'outages',
    about:
      'The story told to the services as processes, on a secure Kafka and a Redis: the only broker gone for 31 s, 5 minutes and an hour, evidence killed and started meanwhile; and broker, Redis and every service killed at once, 20 times. No process ends by itself, each says what it waits for, and what people and agents were told is held against the log: nothing is missing. Times in ms, from when the broker answers.',
    command: [
      ...vitest,
      '--project',
      'chaos',
      '-t',
      'the broker gone|killed at once',
      'test/chaos/distributed/faults.test.ts',
    ],
    env: { BAILIWICK_NIGHTLY: '1' },
    keep: ofTests(/^(chaos|outages): /),
  },
  {
    name: 'recovery',
    about:
      'The story played with the services as processes, on a secure Kafka and a Redis, and each fault 20 times (or `--count`): every service killed and stopped for 5 s, Redis and the broker killed, the broker away for 31 s, everything killed at once. Times in s, median (longest): until all services are ready, until a call is allowed, and the longest time without an allowed call. Run it on a machine that does nothing else.',
    command: [...vitest, '--project', 'chaos', 'test/chaos/distributed/recovery.test.ts'],
    env: { BAILIWICK_NIGHTLY: '1' },
    keep: ofTests(/^(chaos|recovery): /),
  },
  {
    name: 'starved',
    about:
      'The story told to the services as processes, on a secure Kafka and a Redis, beside 26 processes that never wait (`BAILIWICK_BUSY`): each process stands still for 12 s and is killed, the broker and Redis are killed and started. Flow returns within 60 s of each fault, no process ends by itself, of the calls that are not shed early at most 5 % expire between the faults, and what people and agents were told is held against the log.',
    command: [...vitest, '--project', 'chaos', 'test/chaos/distributed/starved.test.ts'],
    env: { BAILIWICK_NIGHTLY: '1' },
    keep: ofTests(/^(chaos|starved): /),
  },
  {
    name: 'containers',
    about:
      'The image is built and docker-compose.yml is started on a Docker engine of Debian, with stand-ins for the base images made from Debian, npm and Maven. A person enrols in Chromium and approves; an agent asks, acts, and is traced and verified. Each service is restarted, evidence and issuer are killed, all is taken down and up with its data.',
    command: [...vitest, '--project', 'containers'],
    keep: ofTests(),
  },
  {
    name: 'parts-in-containers',
    about:
      'The suites that need Kafka and Redis, with java, mvn, redis-server and redis-cli taken off the path: all of e2e-kafka on one broker and one Redis that Testcontainers starts, then the int tests of bus and grant-store on brokers and servers from images, which they kill and start. The engine is Debian’s, the images are stand-ins.',
    command: [process.execPath, join(import.meta.dirname, 'containers/main.ts')],
    keep: (line) => ofTests(/^in containers: /)(line) && !/^\s*✓/.test(line),
  },
  {
    name: 'helm',
    about:
      'Helm lints the chart, renders it with each of its value files, and compares the output with infra/helm/golden, which CI checks against the schemas of Kubernetes.',
    command: [process.execPath, join(root, 'test/infra/render-helm.ts'), '--check'],
    keep: (line) => /^(as before|NOT AS THERE) /.test(line),
  },
  {
    name: 'models-race',
    about:
      'Callers of five sub-agents (64 each at each of four gateways, 1,280 together) race for the last dollar of one grant. Never more is spent than there is, less than one reservation is left, and the audit finds nothing.',
    command: [...vitest, '--project', 'e2e', 'test/e2e/models-race.test.ts'],
    env: { BAILIWICK_CALLERS: '1280' },
    keep: ofTests(/^models-race: /),
  },
  {
    name: 'abuse',
    about:
      'All attacks, embedded, and those on the bus, the grant store and people at the console on a real Kafka and a real Redis too: 10,000 chains of delegations spliced, re-parented and cut; children wider in all combinations; revocations that race mint, exchange and decisions, 200 rounds; and 50 rounds each of what could revive what was revoked.',
    command: [
      ...vitest,
      '--project',
      'abuse',
      '--project',
      'abuse-kafka',
      '--exclude',
      '**/interleavings.test.ts',
      '--exclude',
      '**/canaries.test.ts',
      '--exclude',
      '**/mcp-canaries.test.ts',
      'test/abuse',
    ],
    env: { BAILIWICK_NIGHTLY: '1' },
    keep: ofTests(/^(chains|wider): /),
  },
  {
    name: 'interleavings',
    about:
      'Requests are asked for, answered, withdrawn and stolen while rule, group and manifest change, over a bus that is slow, breaks and repeats messages, in 10,000 orders chosen by seeds, and in 1,000 on a real Kafka. Nothing is granted with a hash that no person signed, twice, after a denial, or by a rule or group that was gone.',
    command: [...vitest, '--project', 'abuse', '--project', 'abuse-kafka', 'test/abuse/interleavings.test.ts'],
    env: { BAILIWICK_NIGHTLY: '1' },
    keep: ofTests(/^interleavings: /),
  },
  {
    name: 'rotations',
    about:
      'All keys of the services are rotated 100 times under load: prepared and activated, and the old ones tainted and revoked. No honest call is refused, no replaced key signs, signatures of a revoked credential key are accepted for at most 1 s more, and the audit passes.',
    command: [...vitest, '--project', 'e2e', 'test/e2e/rotations.test.ts'],
    env: { BAILIWICK_NIGHTLY: '1' },
    keep: ofTests(/^rotations: /),
  },
  {
    name: 'trifecta',
    about:
      'Private data, untrusted content and a send, in all 6 orders, split over tasks, sub-agents, instances and decision points, and 10,000 calls of the agent between the tainting calls and the send: the last of the three is denied each time, and the history does not grow with the calls.',
    command: [...vitest, '--project', 'e2e', 'test/e2e/trifecta.test.ts'],
    env: { BAILIWICK_NIGHTLY: '1' },
    keep: ofTests(/^trifecta: /),
  },
  {
    name: 'reference',
    about:
      'A million generated cases, decided by Bailiwick and by a second implementation written only from the design and from the documentation of Cedar (test/reference): no difference.',
    command: [...vitest, '--project', 'reference', '--exclude', '**/compiled.test.ts'],
    env: { BAILIWICK_NIGHTLY: '1' },
    keep: ofTests(/^reference: /),
  },
  {
    name: 'compiled-policies',
    about:
      'Five million generated requests to compiled policies and to Cedar in slices (test/reference/compiled-campaign.ts), with a page of its own.',
    // As much as a night has time for, unless `--minutes` is given.
    command: [process.execPath, join(import.meta.dirname, 'reference/compiled-campaign.ts'), '--minutes', '240'],
    keep: () => false,
    ownPage: true,
  },
  {
    name: 'logs',
    about:
      'The writer of a log is killed with SIGKILL 200 times at any moment under load, and its disk is full; 2,000 mutants of logs (bits flipped, files cut, swapped and gone, entries replayed, forks by the same key, rollbacks) are each detected by `bailiwick verify`, which raises no false alarm on 200 clean logs. An OTLP endpoint hangs for 3 minutes at 300 leaves a second: this measures the memory, and checks that everything arrives afterwards.',
    command: [
      ...vitest,
      '--project',
      'chaos',
      '--project',
      'audit',
      '--project',
      'unit',
      'test/chaos/log',
      'test/audit/log-mutants.test.ts',
      'services/evidence/src/feeds/stalled-sink.test.ts',
    ],
    env: { BAILIWICK_NIGHTLY: '1' },
    keep: ofTests(/^(log kills|disk full|clean logs|log mutants|stalled sink): /),
  },
  {
    name: 'mastra',
    about:
      'Tools in the process of an agent of Mastra: its own loop, installed by its lock (132 MB), with a model that plays a script, against a real installation.',
    command: [
      'sh',
      '-ec',
      `npm ci --prefix test/judges/mastra --ignore-scripts --omit=optional --no-audit --no-fund --loglevel=error
exec "$@" --project judges test/judges/in-process.test.ts`,
      'sh',
      ...vitest,
    ],
    env: { BAILIWICK_NIGHTLY: '1' },
    keep: ofTests(/^judges: /),
  },
  {
    name: 'first-agent',
    about:
      'From a clone to the first governed call of an agent of one’s own, in TypeScript, Python, and with Codex CLI without code: a program types each block of the pages in docs/start into a new clone, with `npm ci` and the other installations, with empty caches, on the Node.js and npm of the machine. It sums the times of the commands. The target is 300 s. Not counted: the clone itself, reading, typing, and the answers of a real model.',
    command: [
      ...vitest,
      '--project',
      'consumers',
      '--project',
      'judges',
      'test/consumers/first-agent.test.ts',
      'test/judges/first-agent.test.ts',
      '-t',
      'a reader with a clone',
    ],
    env: { BAILIWICK_NIGHTLY: '1' },
    keep: ofTests(/^first-agent: /),
  },
  {
    name: 'packages',
    about:
      'The packages that are published, as tarballs in projects outside the repository: the libraries on Node.js 20, 22, 24 and 26, as ES modules and as CommonJS, and the command on 24 and 26. The README’s API and agent run on each of the four against `npx bailiwick dev` on both, and the proof of their call is verified.',
    command: [...vitest, '--project', 'consumers', 'test/consumers/packages.test.ts'],
    env: { BAILIWICK_NIGHTLY: '1' },
    keep: ofTests(/^packages: /),
  },
  {
    name: 'canaries',
    about:
      '10,000 requests, right and wrong, with secrets where they belong and where they do not: credentials, proofs, permits, client assertions, cookies, sign-ins, private keys, arguments, the addresses and tokens of webhook and collector. No piece of 16 characters of any secret appears in the log, the evidence stream and its sinks, any topic except where it was put, the output of services, metrics, or a refusal.',
    command: [...vitest, '--project', 'abuse', 'test/abuse/canaries.test.ts'],
    env: { BAILIWICK_NIGHTLY: '1' },
    keep: ofTests(/^canaries: /),
  },
  {
    name: 'mcp-canaries',
    about:
      '10,000 calls through the gateway, embedded and on a real Kafka and a real Redis, to servers that give away the secrets that the gateway gave them: in answers, errors, streams, header fields, tasks and on standard error, plain and in base64. No piece of 16 characters of a secret appears in what agents see, in logs, events, metrics or files; and no credential or proof of an agent reaches a server.',
    command: [...vitest, '--project', 'abuse', '--project', 'abuse-kafka', 'test/abuse/mcp-canaries.test.ts'],
    env: { BAILIWICK_NIGHTLY: '1' },
    keep: ofTests(/^mcp canaries: /),
  },
  {
    name: 'mutants',
    about: 'Every patch in test/mutants breaks an invariant; a test that carries its number must fail.',
    command: [process.execPath, join(import.meta.dirname, 'mutants/run.ts')],
    keep: () => true,
  },
  {
    name: 'stryker',
    about:
      'Stryker breaks each expression of the authority language, of the Cedar adapter, of the steps of a decision, of the log with its ingest and findings, and of the projection, one after another: tests notice at least 90 % of each of the five. Unnoticed mutants are listed. It takes three hours at most, continues the next night, retries only what has changed, and reports the state of every file with the day of its examination.',
    command: [process.execPath, join(import.meta.dirname, 'stryker/run.ts'), '--hours', '3'],
    keep: (line) => /^\s*\d+\.\d %|^(Survived|NoCoverage|not tried) |ERROR/.test(line),
  },
]

const text = { type: 'string' } as const
const { values, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: { count: text, minutes: text, kinds: text, mode: text, seed: text, new: { type: 'boolean' } },
})
if (values.count !== undefined) process.env.BAILIWICK_COUNT = values.count
const given = Object.entries(values).flatMap(([name, value]) => [
  `--${name}`,
  ...(value === true ? [] : [String(value)]),
])
const unknown = wanted.filter((name) => runs.every((run) => run.name !== name))
if (unknown.length > 0) {
  console.error(`${unknown.join(', ')}: there are ${runs.map(({ name }) => name).join(', ')}`)
  process.exit(2)
}
const chosen = runs.filter(({ name }) => wanted.length === 0 || wanted.includes(name))

if (Object.keys(values).some((name) => name !== 'count') && chosen.some(({ ownPage }) => ownPage !== true)) {
  console.error(`${given.join(' ')}: only campaigns take more than --count`)
  process.exit(2)
}

for (const run of chosen) {
  if (run.ownPage) {
    const { code } = await execute({ ...run, command: [...run.command, ...given] })
    if (code !== 0) process.exitCode = 1
    continue
  }
  const began = new Date()
  const commit = commitNow()
  const { code, output } = await execute(run)
  const kept = output
    .split('\n')
    .map(plain)
    .filter((line) => line.trim() !== '' && run.keep(line))
  const path = freePage(run.name, began)
  writeFileSync(path, page(run, { began, commit, code, kept }))
  console.log(`${run.name}: ${code === 0 ? 'held' : 'FAILED'}; ${path}`)
  if (code !== 0) process.exitCode = 1
}

async function execute({ command: [program = '', ...args], env }: Run): Promise<{ code: unknown; output: string }> {
  const child = spawn(program, args, {
    cwd: root,
    env: { ...process.env, ...env, BAILIWICK_SEED: String(seed), NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const take = (chunk: Buffer) => {
    output += chunk.toString()
    process.stdout.write(chunk)
  }
  child.stdout.on('data', take)
  child.stderr.on('data', take)
  const code = await new Promise((resolve) => child.once('close', resolve))
  return { code, output }
}

function page(
  { name, about }: Run,
  { began, commit, code, kept }: { began: Date; commit: string; code: unknown; kept: string[] },
): string {
  // Sources run directly: what was changed meanwhile is what ran from then on.
  const moved = commit === commitNow() ? '' : `; at the end ${commitNow()}`
  return [
    `# ${began.toISOString().slice(0, 10)}: ${name}`,
    '',
    about,
    '',
    `- result: **${code === 0 ? 'held' : 'failed'}**, in ${Math.round((Date.now() - began.getTime()) / 1000)} s`,
    `- seed: ${seed} (\`BAILIWICK_SEED=${seed} npm run nightly -- ${name}\`)`,
    `- commit: ${commit}${moved}`,
    `- machine: ${machine()}`,
    '',
    '```text',
    ...kept,
    '```',
    '',
  ].join('\n')
}
