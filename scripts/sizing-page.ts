import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { decisionsV1 } from '@bailiwick/contracts'
import { table } from '@bailiwick/contracts/generate'

const figures = 'docs/explain/benchmarks.md'
/** Calls a second: the first were measured, the last is computed from the one before it. */
const [measured, computed] = [[10, 50, 100], 1000]
const fullest = 100
/** The share of a core that one thread may use all the time and still answer soon. */
const busyShare = 0.7
const days = decisionsV1.cleanup.retentionDays

/** The page that computes from measured figures what an installation needs. */
export function sizingPage(root: string): string {
  const page = readFileSync(join(root, figures), 'utf8')
  const embedded = rowsOf(page, 'What a call takes')
  const kafka = rowsOf(page, 'Kafka and Redis: what a call takes')
  const at = (rows: Rows, rate: number, name: string) =>
    rate === computed
      ? (figure(rows, `${fullest}/s: ${name}`) * computed) / fullest
      : figure(rows, `${rate}/s: ${name}`)
  const cores = (rows: Rows, names: readonly string[]) =>
    [...measured, computed].map((rate) => [
      rate === computed ? `${shown(rate)}, computed` : String(rate),
      ...names.map((name) => at(rows, rate, name).toFixed(2)),
    ])
  const services = ['policy-decision', 'evidence', 'approval', 'issuer', 'Kafka', 'Redis', 'gateway']
  const points = Math.ceil(at(kafka, computed, 'policy-decision') / busyShare)
  const gateways = Math.ceil(at(kafka, computed, 'gateway') / busyShare)
  const disk = (rows: Rows, bus: string, copies: number) =>
    [...measured, computed].map((rate) => {
      const aDay = (name: string) => figure(rows, `disk for a call: ${name}`) * rate * 86_400
      return [shown(rate), gib(aDay('evidence')), gib(aDay(bus) * copies), gib(aDay(bus) * copies * days)]
    })
  return `# Sizing

Computed by \`npm run generate\` from [what a call takes](../explain/benchmarks.md#what-a-call-takes), and [on Kafka](../explain/benchmarks.md#kafka-and-redis-what-a-call-takes): do not edit.
\`bailiwick bench sizing\` and \`bailiwick bench sizing --kafka\` measure it on your machine.

A *call* is one action of an agent: the gateway asks for a decision, acts, and reports the outcome, and the log holds both.
If your API is its own enforcement point, leave out the gateway.

## Cores

One process for all services (\`npm start\`), and its gateway, in cores:

${table(['Calls a second', 'All services', 'Gateway'], cores(embedded, ['services', 'gateway']))}

On Kafka, in cores of each process:

${table(['Calls a second', ...services.map(capital)], cores(kafka, services))}

Each process answers on one thread. If it needs more than ${busyShare} of a core, calls begin to wait: add an instance.
A call costs less when many come at once, because their work is done together. So these figures are on the safe side: [at saturation](../explain/benchmarks.md#the-mcp-gateway), one process for all services carried several times as many calls, and each waited longer.

- \`npm start\` has one thread for all services. It is this busy at about ${shown(most(embedded, 'services'))} calls a second.
- ${shown(computed)} calls a second need about ${points} instances of policy-decision and ${gateways} gateways. Add one of each: every decision point also reads what the others decided.
- One instance of evidence is active at a time. It is this busy at about ${shown(most(kafka, 'evidence'))} calls a second. For many more, divide your agents between installations: each has its own log, its own root key and its own approvers.
- Approval and issuer work when people approve and credentials are issued. Here each of 8 agents renewed its credential every 5 minutes.

## Memory

The memory of each process at the end of the measurement (RssAnon), in MiB:

${table(
  ['', ...services.map(capital)],
  [
    ['one process', `${memory(embedded, 'services')}, all services`, '', '', '', '', '', memory(embedded, 'gateway')],
    ['on Kafka', ...services.map((name) => memory(kafka, name))],
  ],
)}

A decision point grows with the decisions that it keeps. [Memory](memory.md) says how far, and which limits containers need.
10,000 registered agents were not measured.

## Disk

Evidence keeps its log for ever. The bus keeps an event for ${days} days. In GiB:

${table(
  ['Calls a second', 'Log, a day', 'Embedded bus, a day', `Embedded bus, after ${days} days`],
  disk(embedded, 'bus', 1),
)}

${table(
  ['Calls a second', 'Log, a day', 'Kafka with three copies, a day', `Kafka, after ${days} days`],
  disk(kafka, 'Kafka', 3),
)}

## What limits growth

- **Kafka**: a tree of grants stays in one partition, in order. A topic has 3 partitions. More partitions spread the writing; every decision point reads all of them.
- **Redis**: a call takes three or four commands, and one primary serves all decision points.
- **The log**: one instance writes it, in order. This is the first limit that one installation meets.
- **Where agents are**: a decision waits for two round trips to Redis and four to Kafka. Keep decision points near both.
`
}

type Rows = ReadonlyMap<string, number>

function rowsOf(page: string, title: string): Rows {
  const [, section = ''] = page.split(`\n## ${title}\n`)
  const lines = (section.split('\n## ')[0] ?? '').matchAll(/^\| ([^|]+) \| ([\d,.]+)/gm)
  return new Map([...lines].map(([, name = '', value = '']) => [name, Number(value.replaceAll(',', ''))]))
}

/** Throws if the page does not have the row. */
function figure(rows: Rows, name: string): number {
  const value = rows.get(name)
  if (value === undefined) throw new Error(`${figures} has no row ${name}: bailiwick bench sizing --write`)
  return value
}

/** The calls a second that one such process carries. */
function most(rows: Rows, name: string): number {
  return Math.floor((busyShare * fullest) / figure(rows, `${fullest}/s: ${name}`) / 10) * 10
}

const memory = (rows: Rows, name: string) => figure(rows, `memory: ${name}`).toFixed(0)
const shown = (number: number) => number.toLocaleString('en-US')
const gib = (bytes: number) => shown(Number((bytes / 2 ** 30).toPrecision(2)))
const capital = (name: string) => `${name.charAt(0).toUpperCase()}${name.slice(1)}`
