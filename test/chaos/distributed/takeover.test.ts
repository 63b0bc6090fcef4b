import { setTimeout as pause } from 'node:timers/promises'
import type { ServiceName } from '@bailiwick/contracts'
import { lacks } from '@bailiwick/native'
import type { ServiceProcess } from '@bailiwick/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { counts } from './counts.ts'
import { Play } from './play.ts'

const ofOne = ['issuer', 'approval', 'evidence'] as const satisfies readonly ServiceName[]
const withinMs = 5000

/** Whether it is the one of its service that acts; one that does not answer is not. */
async function acts({ service, url }: ServiceProcess): Promise<boolean> {
  const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(500) }).catch(() => undefined)
  const said = await answer?.text().catch(() => undefined)
  return said !== undefined && !said.includes(`${service}-active`)
}

describe.skipIf(lacks('secure-kafka', 'redis'))('a second process of each service of which one acts', () => {
  let play: Play
  beforeAll(async () => {
    play = await Play.open({ instances: { issuer: 2, approval: 2, evidence: 2, 'policy-decision': 1 } })
  }, 300_000)
  afterAll(() => play?.[Symbol.asyncDispose]())

  async function roles(service: ServiceName): Promise<{ active: ServiceProcess; standby: ServiceProcess }> {
    for (const deadline = performance.now() + 30_000; performance.now() < deadline; await pause(50)) {
      const all = play.system.processes[service]
      const acting = await Promise.all(all.map(acts))
      const [active, standby] = [all[acting.indexOf(true)], all[acting.indexOf(false)]]
      if (acting.filter((each) => each).length === 1 && active && standby) return { active, standby }
    }
    throw new Error(`${service}: it is never one that acts`)
  }

  /** How long until `next` acts; at no moment do both say that they do. */
  async function takenOver(what: string, next: ServiceProcess, old?: ServiceProcess): Promise<number> {
    const began = performance.now()
    while (!(await acts(next)) && performance.now() < began + 30_000) await pause(20)
    const ms = Math.round(performance.now() - began)
    if (old !== undefined) expect(await acts(old), 'both act').toBe(false)
    console.log(`${what}: taken over after ${ms} ms`)
    return ms
  }

  const runs = Array.from({ length: counts.takeovers }, (_, n) => n)

  it(
    'killed, it is succeeded within 5 s, and nothing is lost, doubled or revived (V2, V4, V7, V10)',
    async () => {
      await play.through('active ones killed', async () => {
        for (const _ of runs)
          for (const service of ofOne) {
            const { active, standby } = await roles(service)
            await active.kill()
            expect(await takenOver(`${service} killed`, standby)).toBeLessThan(withinMs)
            active.start()
            await play.goesOn()
          }
      })
    },
    counts.takeovers * 90_000 + 120_000,
  )

  it('stopped in order, it is succeeded at once (V2, V4, V10)', async () => {
    await play.through('active ones stopped', async () => {
      for (const service of ofOne) {
        const { active, standby } = await roles(service)
        await active.stop()
        expect(await takenOver(`${service} stopped`, standby)).toBeLessThan(2000)
        active.start()
        await play.goesOn()
      }
    })
  }, 240_000)

  it('stalled, it is succeeded; when it wakes it ends, and stands by once it is started again (V2, V4, V7, V8)', async () => {
    await play.through('active ones stalled', async () => {
      for (const service of ['issuer', 'approval'] as const) {
        const { active, standby } = await roles(service)
        const crashes = active.crashes
        active.signal('SIGSTOP')
        expect(await takenOver(`${service} stalled`, standby)).toBeLessThan(withinMs)
        await pause(1000)
        active.signal('SIGCONT')
        await expect.poll(() => active.crashes, { timeout: 10_000 }).toBe(crashes + 1)
        active.crashes = crashes // it was to
        expect(active.output).toContain('took over')
        active.start()
        expect((await roles(service)).active).toBe(standby)
        await play.goesOn()
      }
    })
  }, 240_000)

  it('stalled, evidence keeps its lock: nobody else writes the log, and it goes on when it wakes (V14)', async () => {
    await play.through('evidence stalled', async () => {
      const { active, standby } = await roles('evidence')
      active.signal('SIGSTOP')
      await pause(6000)
      expect(await acts(standby)).toBe(false)
      expect(await (await fetch(`${standby.url}/readyz`)).text()).toContain('log_locked')
      active.signal('SIGCONT')
      expect((await roles('evidence')).active).toBe(active)
    })
  }, 240_000)
})
