import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Bus, Message } from '@bailiwick/bus'
import { type KafkaConnection, kafkaAdmin, kafkaBus } from '@bailiwick/bus/kafka'
import { type DecodedEvent, decodeEvent, kafkaAcls, kafkaTopics, topicNamed } from '@bailiwick/contracts'
import { logger as makeLogger } from '@bailiwick/host'
import { type KafkaCluster, lacks, startKafka } from '@bailiwick/native'
import { DecisionState } from '@bailiwick/projection'
import { type System, startSystem } from '@bailiwick/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { tell } from '../demo/story.ts'
import { builtGo, type Ended, missingPrograms, python, pythonWithPackages, run } from './programs.ts'

const left = process.env.CI !== 'true' && missingPrograms().length > 0

type Decision = DecodedEvent<'decisions.v1'>

const logger = makeLogger({ service: 'consumers', level: 'silent' })

/** Replaces a bus by another; both end with it. */
function instead(unused: Bus, bus: Bus): Bus {
  return {
    publish: (topic, events) => bus.publish(topic, events),
    consume: (topics, group, handler) => bus.consume(topics, group, handler),
    follow: (topics, since, handler) => bus.follow(topics, since, handler),
    ends: (topic) => bus.ends(topic),
    async [Symbol.asyncDispose]() {
      await bus[Symbol.asyncDispose]()
      await unused[Symbol.asyncDispose]()
    },
  }
}

/** The line of a decision, computed a third time, from our own reading of the topic; undefined for other events. */
function lineOf(event: Decision, counts: boolean): string | undefined {
  const [action, resource] =
    'action' in event.data && event.data.action
      ? [event.data.action.name, `${event.data.action.resource.type}:${event.data.action.resource.id}`]
      : ['-', '-']
  const agent = ('actor' in event.data && event.data.actor?.agent) || '-'
  const line = (verdict: string, reason: string, id: string) =>
    [event.time, counts ? verdict : 'VOID', reason, agent, action, resource, event.partitionkey, id].join('\t')
  switch (event.type) {
    case 'decision.allowed':
      return line('ALLOW', 'allowed', event.data.decision_id)
    case 'decision.denied':
      return line('DENY', event.data.reason, event.data.decision_id)
    case 'decision.abandoned':
      return line('ABANDONED', '-', event.data.decision_id)
    default:
      return undefined
  }
}

/** The events on decisions.v1 now, and the lines that a reader prints for them. */
async function readDecisions(connection: KafkaConnection): Promise<{ messages: Message[]; lines: string[] }> {
  await using bus = await kafkaBus({ connection, logger })
  const messages: Message[] = []
  const state = new DecisionState({ base: true })
  const lines: string[] = []
  await using following = await bus.follow(['decisions.v1'], 'start', async (batch) => {
    for (const message of batch) {
      messages.push({ ...message, bytes: Uint8Array.from(message.bytes) })
      const decoded = decodeEvent(topicNamed('decisions.v1') ?? expect.fail('no topic'), message.bytes)
      if (!decoded.ok) return expect.fail(decoded.detail)
      const event = decoded.event as Decision
      const line = lineOf(event, state.apply(event) === 'counts')
      if (line !== undefined) lines.push(line)
    }
  })
  await following.caughtUp
  return { messages, lines: lines.toSorted() }
}

/** The same, once nothing more arrives: denials are published after their answers. */
async function readAllDecisions(connection: KafkaConnection): ReturnType<typeof readDecisions> {
  for (let [before, same] = [-1, 0]; ; await new Promise((resolve) => setTimeout(resolve, 1000))) {
    const read = await readDecisions(connection)
    same = read.messages.length === before ? same + 1 : 0
    if (same === 2) return read
    before = read.messages.length
  }
}

describe.skipIf(lacks('secure-kafka', 'redis') || left)(
  'consumers in other languages, on a real Kafka with ACLs',
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'consumers-'))
    const programs: [file: string, args: readonly string[]][] = []
    let kafka: KafkaCluster
    let system: System

    const connect = (user: string): KafkaConnection => {
      const { security, brokers } = kafka
      if (security === undefined) return expect.fail('a Kafka without access control')
      const password = readFileSync(security.passwordFile(user), 'utf8')
      const tls = { ca: readFileSync(security.caFile, 'utf8') }
      return { brokers, clientId: user, tls, sasl: { username: user, password } }
    }

    /** Both programs, as one Kafka user; each starts at the beginning and ends after this many lines. */
    const runAll = (user: string, max: number): Promise<Ended[]> => {
      const { security, brokers } = kafka
      const env = {
        BAILIWICK_BUS: `kafka://${brokers.join(',')}`,
        BAILIWICK_DATA: system.data,
        BAILIWICK_KAFKA_CA: security?.caFile,
        BAILIWICK_KAFKA_USER: user,
        BAILIWICK_KAFKA_PASSWORD_FILE: security?.passwordFile(user),
      }
      const options = ['--from-beginning', '--max', String(max), '--timeout', '60']
      return Promise.all(programs.map(([file, args]) => run(file, [...args, ...options], { env })))
    }
    const linesOf = ({ out }: Ended) => out.trimEnd().split('\n').toSorted()

    beforeAll(async () => {
      programs.push([await pythonWithPackages(), [join(python, 'consume.py')]], [await builtGo(folder), []])
      kafka = await startKafka({ secure: { users: ['policy-decision', 'agents', 'siem'] } })
      await using admin = await kafkaAdmin(connect('admin'))
      await admin.applyTopics(kafkaTopics({ dev: true }))
      await admin.applyAcls(kafkaAcls({ readers: ['siem'] }))
      // All services run in this process, on the real bus: this test is about the readers, not the writers.
      const bus = await kafkaBus({ connection: connect('admin'), logger })
      const env = { BAILIWICK_DECISION_DEADLINE: '10s', BAILIWICK_MAX_STALENESS: '10s' }
      system = await startSystem({ wrapBus: (embedded) => instead(embedded, bus), env })
      // The story only fills the topic here; its own suites check whether it holds.
      await tell(system, async (_title, step) => void (await step().catch(() => undefined)))
    }, 600_000)
    afterAll(async () => {
      await system?.[Symbol.asyncDispose]()
      await kafka?.[Symbol.asyncDispose]()
      rmSync(folder, { recursive: true, force: true })
    })

    it('print the same line for each decision of the story as we do, each verified back to trust.json', async () => {
      const { lines } = await readAllDecisions(connect('admin'))
      const verdicts = new Set(lines.map((line) => line.split('\t')[1]))
      expect(verdicts).toContain('ALLOW')
      expect(verdicts).toContain('DENY')
      expect(lines.length).toBeGreaterThan(20)
      for (const ended of await runAll('siem', lines.length)) {
        expect({ code: ended.code, err: ended.err }).toEqual({ code: 0, err: '' })
        expect(linesOf(ended)).toEqual(lines)
      }
    })

    it('report from evidence.v1 who approved it, each event verified back to trust.json (V3)', async () => {
      const { evidence } = system.services
      await using bus = await kafkaBus({ connection: connect('admin'), logger })
      const { lines, messages } = await readAllDecisions(connect('admin'))
      for (const { bytes } of messages) await evidence.integrated(JSON.parse(Buffer.from(bytes).toString()).id, 60_000)
      const told: string[] = []
      await using _ = await bus.follow(['evidence.v1'], 'start', async (batch) => {
        for (const { bytes } of batch) told.push(JSON.parse(Buffer.from(bytes).toString()).id)
      })
      while (new Set(told).size < evidence.size()) await new Promise((resolve) => setTimeout(resolve, 100))
      expect(told.length).toBe(new Set(told).size)
      const { security, brokers } = kafka
      const ask = async (user: string, ...about: string[]) =>
        run(await pythonWithPackages(), [join(python, 'who_let_this_happen.py'), ...about], {
          env: {
            BAILIWICK_BUS: `kafka://${brokers.join(',')}`,
            BAILIWICK_DATA: system.data,
            BAILIWICK_KAFKA_CA: security?.caFile,
            BAILIWICK_KAFKA_USER: user,
            BAILIWICK_KAFKA_PASSWORD_FILE: security?.passwordFile(user),
          },
        })
      const all = await ask('siem')
      expect({ code: all.code, err: all.err }).toEqual({ code: 0, err: '' })
      const rows = all.out
        .trimEnd()
        .split('\n')
        .map((line) => line.split('\t'))
      const allowed = rows.filter(([, verdict]) => verdict === 'ALLOW')
      expect(allowed.length).toBeGreaterThan(5)
      // An ALLOW that came too late was answered with a DENY of the same id, and that DENY is the answer that counts.
      const said = Map.groupBy(
        lines.map((line) => line.split('\t')),
        (row) => row.at(-1) ?? '',
      )
      const verdictsOf = (id: string) => said.get(id)?.map(([, verdict]) => verdict) ?? []
      const missing = [...said.keys()].filter(
        (id) => verdictsOf(id).includes('ALLOW') && !allowed.some((row) => row[12] === id),
      )
      for (const id of missing) expect([id, verdictsOf(id)]).toEqual([id, expect.arrayContaining(['DENY'])])
      for (const row of allowed) expect(verdictsOf(row[12] ?? '')).toContain('ALLOW')
      // Time, verdict, reason, outcome, agent, action, resource, approvers, owner, task, request, chain, decision, leaf.
      for (const row of allowed) {
        expect(row).toHaveLength(14)
        expect(row[7]).not.toBe('-')
        expect(row[11]?.split(' > ').at(-1)).toBe(row[4])
      }
      const [one = []] = allowed
      const about = await ask('siem', one[10] ?? '')
      expect(about.out.split('\n')).toContain(one.join('\t'))
      expect(await ask('siem', 'req_of_nobody')).toMatchObject({ code: 1, out: '' })
      expect((await ask('agents', one[10] ?? '')).err).toContain('TOPIC_AUTHORIZATION_FAILED')
    })

    it('show nothing to a user who may not read', async () => {
      for (const ended of await runAll('agents', 1)) {
        expect(ended).toMatchObject({ code: 2, out: '' })
        expect(ended.err).toContain('TOPIC_AUTHORIZATION_FAILED')
      }
    })

    it('call an ALLOW BAD that a user with write access changed, and exit with 1 (V12)', async () => {
      const { messages, lines } = await readAllDecisions(connect('admin'))
      const allowed =
        messages.find(({ bytes }) => /"decision\.allowed".*"permission":0/.test(Buffer.from(bytes).toString())) ??
        expect.fail('none')
      const forged = Buffer.from(Buffer.from(allowed.bytes).toString().replace('"permission":0', '"permission":1'))
      expect(forged).not.toEqual(Buffer.from(allowed.bytes))
      // The policy-decision's Kafka password was stolen, but not its key.
      await using thief = await kafkaBus({ connection: connect('policy-decision'), logger })
      const [position] = await thief.publish('decisions.v1', [{ key: allowed.key, bytes: forged }])
      const bad = [
        '-',
        'BAD',
        'signature_invalid',
        '-',
        '-',
        '-',
        '-',
        `decisions.v1/${position?.partition}/${position?.offset}`,
      ]
      for (const ended of await runAll('siem', lines.length + 1)) {
        expect(ended).toMatchObject({ code: 1, err: '' })
        expect(linesOf(ended)).toEqual([...lines, bad.join('\t')].toSorted())
      }
    })
  },
)
