import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { embeddedBus } from '@bailiwick/bus/embedded'
import { topicSettings } from '@bailiwick/host/process'
import { paths } from '@bailiwick/installation'
import { systemClock } from '@bailiwick/kit'
import { freePort, ServiceProcess } from '@bailiwick/testkit'
import { readLife, writeRequests } from './finished-requests.ts'
import { readDecision, writeHistory } from './kafka/history.ts'
import { ownMiB } from './kafka/resident.ts'
import type { Bench, Measure, Row } from './measure.ts'
import { roomyAsk, World } from './world.ts'

const trees = 50
/** Garbage of the start is collected within this time. */
const restMs = 20_000
const mib = 2 ** 20

/** Measures the memory of a service that finds a long history at its start: a decision point with decisions, approval with finished requests, evidence with both. */
export async function measureMemory(bench: Bench): Promise<Measure> {
  const count = bench.count ?? (bench.quick ? 200 : 100_000)
  const rows: Row[] = []
  const said = (name: string, value: number, target?: Row['target']) =>
    rows.push({ name, value, unit: 'MiB', ...(target ? { target } : {}) })

  const requests = await written(bench.dir, bench, count, 'requests')
  const empty = await held('approval', requests.before, bench)
  const full = await held('approval', requests.data, bench)
  said('approval, with no finished request', empty)
  said(`approval, with ${count} finished requests`, full, { atMost: 300 })
  rows.push({ name: 'approval, a finished request', value: ((full - empty) * mib) / count, unit: 'bytes' })

  const decisions = await written(bench.dir, bench, count, 'decisions')
  const none = await held('policy-decision', decisions.before, bench)
  const all = await held('policy-decision', decisions.data, bench)
  said('policy-decision, with no decision', none)
  said(`policy-decision, with ${count} decisions`, all)
  const each = ((all - none) * mib) / count
  rows.push({ name: 'policy-decision, a decision', value: each, unit: 'bytes', target: { atMost: 250 } })

  const log = await held('evidence', decisions.data, bench, entries(decisions.data, 2 * count))
  said(`evidence, after ${2 * count} entries`, log, { atMost: 350 })
  return {
    id: 'memory',
    title: 'Memory',
    how:
      `Memory of its own (RssAnon) of one service by itself on the embedded bus, ${restMs / 1000} s after its start: with ` +
      `${count.toLocaleString('en-US')} requests that were received, approved, granted and completed, each with a purpose; with ` +
      `${count.toLocaleString('en-US')} decisions and their outcomes under ${trees} live grants; and evidence after it put those ` +
      'into its log. No other service runs. What a service needs beside that for its work is not in it.',
    rows,
  }
}

/** The data directory of a system that has ended, with and without the history. */
async function written(
  dir: string,
  { progress }: Bench,
  count: number,
  what: 'requests' | 'decisions',
): Promise<{ before: string; data: string }> {
  const system = async () => {
    await using world = await World.open(dir)
    const grants = []
    for (let n = 0; n < (what === 'decisions' ? trees : 1); n++) grants.push(await world.grant())
    const [first] = grants
    if (first === undefined) throw new Error('no grant')
    let decisionId = ''
    let life = { requestId: '', grantId: '' }
    if (what === 'decisions') {
      const answer = await world.system.services.policyDecision.decide(world.point, world.evaluation(first))
      if (!answer.decision) throw new Error(`denied: ${answer.reason}`)
      decisionId = answer.decisionId
    } else {
      const agent = world.agent()
      const { requestId } = await agent.request({ ...roomyAsk(7), purpose: 'x'.repeat(200) })
      const { grant_id } = await world.approver.approve(requestId)
      if (grant_id === undefined) throw new Error('no grant')
      await agent.complete({ grantId: grant_id })
      life = { requestId, grantId: grant_id }
    }
    const { data, trust } = world.system
    return { data, trust, grants, decisionId, life }
  }
  const before = await system()
  const after = await system()
  await using bus = await embeddedBus({ dir: paths(after.data).bus, ...topicSettings, now: () => systemClock.now() })
  const tell = (done: number) => progress(`memory: ${done} of ${count} ${what} written`)
  if (what === 'decisions') {
    const like = await readDecision(bus, after.decisionId)
    await writeHistory({ bus, system: after, like, grants: after.grants, count, progress: tell })
  } else {
    const like = await readLife(bus, after.life.requestId, after.life.grantId)
    await writeRequests({ bus, data: after.data, like, count, progress: tell })
  }
  return { before: before.data, data: after.data }
}

/** Starts the service by itself, and says what it holds once it has read everything. */
async function held(
  service: 'approval' | 'policy-decision' | 'evidence',
  data: string,
  { progress, quick }: Bench,
  done: () => boolean = () => true,
): Promise<number> {
  const port = await freePort()
  await using process = new ServiceProcess({
    service,
    env: {
      PATH: globalThis.process.env.PATH ?? '',
      BAILIWICK_DATA: data,
      BAILIWICK_PORT: String(port),
      BAILIWICK_SNAPSHOTS: 'off',
    },
  })
  process.start()
  progress(`memory: ${service} starts`)
  while (!(process.output.includes('"msg":"ready"') && done())) {
    if (!process.running) throw new Error(`${service} ended:\n${process.output}`)
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
  await new Promise((resolve) => setTimeout(resolve, quick ? 1000 : restMs))
  const own = ownMiB(process.pid)
  await process.stop()
  return own
}

/** Whether the log has at least so many entries. */
const entries = (data: string, count: number) => () => {
  try {
    return Number(readFileSync(join(paths(data).log, 'checkpoint'), 'utf8').split('\n')[1]) >= count
  } catch {
    return false
  }
}
