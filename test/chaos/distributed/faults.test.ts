import { rmSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { lacks } from '@bailiwick/native'
import type { ServiceProcess } from '@bailiwick/testkit'
import { describe, expect, it } from 'vitest'
import { holding } from '../../abuse/operator.ts'
import { tally } from '../tally.ts'
import { counts, outages } from './counts.ts'
import { LateHandOver } from './late-hand-over.ts'
import { answers, Leakers } from './leakers.ts'
import { type Play, readyWithinMs, usePlay } from './play.ts'

/** What `/readyz` says is missing; undefined while it does not answer. */
async function unready({ url }: ServiceProcess): Promise<string | undefined> {
  const answer = await fetch(`${url}/readyz`).catch(() => undefined)
  return answer?.status === 503 ? await answer.text() : undefined
}

const load = () => `at load ${loadavg()[0]?.toFixed(1)}`

describe.skipIf(lacks('secure-kafka', 'redis'))('the processes, on a real broker and a real Redis', () => {
  let play: Play
  // As many again for a second try.
  const leakers = new Leakers(2 * counts.taints)
  const options = {
    cuttable: 'policy-decision',
    entities: leakers.entities,
    env: { BAILIWICK_KEEP_CALLS: '1' },
  } as const
  usePlay(options, (opened) => {
    play = opened
  })

  // First: what its decisions left in the log is audited with that of all others.
  it(
    `the decision point that let agents be tainted killed right after, ${counts.taints} times: neither the other one nor its successor lets anything leave, in any order and task (V2, V8)`,
    async () => {
      for (let n = 0; n < counts.taints; n++) {
        const points = play.system.processes['policy-decision']
        const [dying, other] = n % 2 === 0 ? points : points.toReversed()
        if (!dying || !other) throw new Error('there are no two decision points')
        const all = await leakers.next(play)
        expect(await answers(all, (each) => each.begin(other))).toEqual(['allowed'])
        expect(await answers(all, (each) => each.taint(dying))).toEqual(['allowed'])
        await dying.kill()
        tally('SIGKILL', 'policy-decision after a taint')
        expect(await answers(all, (each) => each.send(other))).toEqual(['policy_denied'])
        dying.start()
        await dying.ready(readyWithinMs)
        expect(await answers(all, (each) => each.send(dying))).toEqual(['policy_denied'])
      }
    },
    counts.taints * 120_000 + 300_000,
  )

  it(
    `the broker killed ${counts.broker} times and back: the same, and all go on by themselves (V2, V7, V9, V10)`,
    async () => {
      const { kafka } = play.system
      await play.through(`the broker killed ${counts.broker} times`, async () => {
        for (let n = 0; n < counts.broker; n++) {
          await pause(play.random() * 1000)
          await kafka.nodes[0]?.kill('SIGKILL')
          tally('SIGKILL', 'broker')
          await pause(play.random() * 1000)
          await kafka.nodes[0]?.start()
          console.log(`broker: back and a call allowed again after ${await play.goesOn()} ms`)
        }
      })
    },
    counts.broker * 60_000 + 120_000,
  )

  it.each(outages)(
    'the broker gone for %i s, evidence killed meanwhile: no process ends, all go on by themselves, and no event is missing (V2, V7, V9, V15)',
    async (seconds) => {
      const [node] = play.system.kafka.nodes
      const [evidence] = play.system.processes.evidence
      if (!node || !evidence) throw new Error('there is no broker, or no evidence')
      await play.through(`the broker gone for ${seconds} s, evidence killed`, async () => {
        await node.kill('SIGKILL')
        tally('SIGKILL', 'broker')
        await pause(play.random() * 1000)
        // With what it had read and not entered.
        await evidence.kill()
        tally('SIGKILL', 'evidence')
        evidence.start()
        await expect.poll(() => unready(evidence), { timeout: readyWithinMs }).toMatch(/waits for Kafka/)
        console.log(`outages: ${seconds} s: the broker is gone, and evidence waits, ${load()}`)
        await pause(seconds * 1000)
        // Started or not when the bus went, each says what it waits for, and that a restart would not help.
        for (const process of play.all) {
          expect(await unready(process)).toMatch(/waits for Kafka|the bus has not answered/)
          expect((await fetch(`${process.url}/healthz`)).status).toBe(200)
        }
        await node.start()
        const began = performance.now()
        console.log(
          `outages: ${seconds} s: a call allowed ${await play.goesOn()} ms after the broker answers, ${load()}`,
        )
        await evidence.ready(readyWithinMs)
        console.log(`outages: ${seconds} s: evidence ready ${Math.round(performance.now() - began)} ms after it`)
      })
    },
    Math.max(...outages) * 1000 + 300_000,
  )

  it(
    `the broker, Redis and every service killed at once, ${counts.all} times: all start while the broker is away, wait, and go on (V2, V7, V9, V10, V15)`,
    async () => {
      const { kafka, redis } = play.system
      const [node] = kafka.nodes
      await play.through('all killed at once', async () => {
        for (let n = 0; n < counts.all; n++) {
          await Promise.all([node?.kill('SIGKILL'), redis.kill('SIGKILL'), ...play.all.map((each) => each.kill())])
          for (const subject of ['broker', 'Redis', ...play.all.map(({ service }) => service)])
            tally('SIGKILL', subject)
          for (const each of play.all) each.start()
          for (const each of play.all)
            await expect.poll(() => unready(each), { timeout: readyWithinMs }).toMatch(/waits for Kafka/)
          await node?.start()
          const began = performance.now()
          await play.system.ready(readyWithinMs)
          const readyMs = Math.round(performance.now() - began)
          await play.goesOn()
          const allowedMs = Math.round(performance.now() - began)
          console.log(
            `outages: all killed: ready ${readyMs} ms after the broker answers, a call allowed ${allowedMs} ms, ${load()}`,
          )
          // So far by the log alone: they started without it.
          await redis.start()
          console.log(`outages: Redis back: a call allowed after another ${await play.goesOn()} ms`)
        }
      })
    },
    counts.all * 180_000 + 120_000,
  )

  it('one decision point that is cut off from the broker denies, and comes back by itself (V7, V8)', async () => {
    const { line, processes } = play.system
    const cut = processes['policy-decision'].at(-1)
    if (!line || !cut) throw new Error('there is no line to cut')
    await play.through('one decision point cut off', async () => {
      line.cut()
      const began = performance.now()
      while ((await fetch(`${cut.url}/readyz`)).status === 200) await pause(20)
      console.log(`cut off: stale after ${Math.round(performance.now() - began)} ms`)
      await pause(5000)
      await play.goesOn() // by the other one
      line.mend()
      const mended = performance.now()
      await cut.ready(readyWithinMs)
      console.log(`mended: ready after ${Math.round(performance.now() - mended)} ms`)
    })
  })

  it('a call that is erased while its decision point is cut off stays so when that hands it over afterwards (V14, V17)', async () => {
    const { line, processes, data } = play.system
    const [other, late] = processes['policy-decision']
    if (!line || !other || !late) throw new Error('there are no two decision points, or no line to cut')
    const hand = new LateHandOver(play, late)
    const { cli } = hand
    const provedCall = async (id: string) =>
      /value_gone|(?<=\\")INV-\w+-\d(?=\\")/.exec((await cli('prove', id, '--reveal', 'call')).out)?.[0]
    // What a decision point cannot hand over for half a minute it gives up: on a machine that is so busy, once more.
    for (let tries = 1, said: string[] = []; said.at(-1) !== 'attachment.stored'; tries++) {
      expect(tries, `handed over: ${said}`).toBeLessThanOrEqual(5)
      const invoice = `INV-LATE-${tries}`
      const id = await hand.held(invoice)
      expect(await hand.said(id)).toEqual([])
      // By the other one: who is cut off cannot say that something is to be erased.
      const erase = () => cli('erase', id, '--reason', 'personal_data', '--yes')
      const isErased = async () => {
        const { code, out } = await erase()
        return code === 0 || out.includes('everything there is erased already')
      }
      await expect.poll(isErased, { timeout: 60_000 }).toBe(true)
      line.mend()
      await late.ready(readyWithinMs)
      // One partition: what comes behind was read behind it, and what it could not hand over it has given up by then.
      const behind = await hand.allowed(late, `INV-BEHIND-${tries}`)
      await expect.poll(() => provedCall(behind)).toBe(`INV-BEHIND-${tries}`)
      said = await hand.said(id)
      expect(said[0]).toBe('attachment.erased')
      expect(await provedCall(id)).toBe('value_gone')
      const traced = await cli('trace', id)
      expect(traced).toMatchObject({
        code: 0,
        out: expect.stringMatching(/: erased \S+ by operator \(personal_data\)/),
      })
      expect(holding(data, invoice)).toEqual([])
    }
  }, 400_000)

  it('a dead issuer: actions stop within 2 s, nothing is lost, and all goes on when it is back (V7, V8)', async () => {
    const [issuer] = play.system.processes.issuer
    if (!issuer) throw new Error('there is no issuer')
    await play.through('the issuer dead for 5 s', async () => {
      await issuer.kill()
      const died = Date.now()
      await pause(5000)
      const ms = play.acknowledged.allowedBeganAt - died
      console.log(`dead issuer: the last call that was allowed began ${ms} ms after its death`)
      // It said nothing after that, and what it said is good for 2 s.
      expect(ms).toBeLessThanOrEqual(2000)
      issuer.start()
      await issuer.ready(readyWithinMs)
    })
  })

  it(
    `Redis flushed, restarted empty, set back and told to evict, ${counts.redis} times each: nothing is spent, shown or revived twice (V7, V9, V10)`,
    async () => {
      const { redis } = play.system
      const snapshot = join(redis.dir, 'dump.rdb')
      const losses: Record<string, () => Promise<void>> = {
        flushed: async () => void (await redis.cli('FLUSHALL')),
        async empty() {
          await redis.kill('SIGKILL')
          tally('SIGKILL', 'Redis')
          rmSync(snapshot, { force: true })
          await redis.start()
        },
        async older() {
          await redis.cli('SAVE')
          await pause(500)
          await redis.kill('SIGKILL')
          tally('SIGKILL', 'Redis')
          await redis.start()
          rmSync(snapshot, { force: true })
        },
        async evicting() {
          await redis.cli('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-random', 'maxmemory', '2mb')
          await pause(1500)
          await redis.cli('CONFIG', 'SET', 'maxmemory-policy', 'noeviction', 'maxmemory', '0')
        },
      }
      await play.through(`Redis ${Object.keys(losses).join(', ')}, ${counts.redis} times each`, async () => {
        for (let n = 0; n < counts.redis; n++)
          for (const [loss, lose] of Object.entries(losses)) {
            await pause(play.random() * 500)
            await lose()
            console.log(`Redis ${loss}: a call allowed again after ${await play.goesOn()} ms`)
          }
      })
    },
    counts.redis * 60_000 + 120_000,
  )
})
