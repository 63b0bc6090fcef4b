import { setTimeout as pause } from 'node:timers/promises'
import { ownMiB } from './kafka/resident.ts'
import { type Bench, type Measure, median, percentile, type Row } from './measure.ts'
import { boxcar } from './pdp/callers.ts'
import { TwoCores } from './pdp/cores.ts'
import { mixture } from './pdp/policy-files.ts'
import { closed, echoed, open, type Run } from './pdp/runs.ts'
import { type Subject, Subjects } from './pdp/subjects.ts'

const few = 100
const many = 1000
const width = 64
/** Boxcars in flight: about as many decisions as singles. */
const boxcars = 2
const rounds = 5
const pacedSeconds = 10
/** Until each ALLOW of the peak has its `outcome.missing`, because no outcome is reported. */
const settledMs = 65_000
/** A signature made beforehand is valid for a minute. */
const lot = 1000
/** V8 enlarges its young generation during the first 30,000 plain decisions or so, and then no more. */
const memoryCounts = { plain: 100_000, full: 20_000 }

const native =
  'Native Cedar: the crate `cedar-policy` of the version that cedar-wasm has, behind as little HTTP as it takes (`test/bench/pdp/native-cedar`); before it is measured, both give the same answers to 2,000 other requests. '

/** The number of decisions a second of a decision point, relative to the cost of HTTP itself. */
export async function measurePdp(bench: Bench): Promise<Measure> {
  const { quick } = bench
  using cores = new TwoCores()
  await using subjects = await Subjects.start(bench, cores, [few, many])
  const rates = await ratesOf(bench, subjects)
  const paced = await atHalfOfThePeak(bench, subjects, rates)
  const memory: Row[] = []
  for (const mode of ['plain', 'full'] as const) {
    const count = bench.count ?? (quick ? 400 : memoryCounts[mode])
    memory.push(...(await memoryOf({ ...bench, count }, subjects.of(mode, many))))
  }
  return {
    id: 'pdp',
    title: 'A decision point: plain and with grants, beside an echo',
    how:
      `${cores.how} All processes run at once and are asked in turn, ${quick ? 1 : rounds} times; medians. Echo: \`node:http\` alone, which parses the ` +
      'same JSON and answers with it. Plain: `serve policy-decision --plain`, users asking about documents in folders, no two requests alike. Full: ' +
      `policy-decision with an issuer beside it, whose heads prove its state fresh; an agent under 8 grants, each call with a new proof, each ALLOW with its permit. Evidence on: signed, ` +
      `durable, read back; off: kept in memory alone, which no setting does. Singles: ${width} in flight, and one after the other; boxcars: ${boxcar} evaluations each, ${boxcars} in flight, and one after ` +
      'the other. A boxcar saves what a request costs beside its decisions, and nothing of these: with many in flight, 4 × needs requests that cost three times as ' +
      'much as decisions do. By CPU profiles, what an item of a boxcar cannot share: of a full decision 50 µs ' +
      'to verify its proof, and 20 µs each to sign its event and its permit. No outcome is reported, so each ALLOW is followed by an `outcome.missing` a minute later, which ' +
      `is other work of the same core. At half of the peak one process runs and all others stand still, ${quick ? 'once' : `${rounds} times, after two seconds at that rate that do not count`}; none of those outcomes falls due meanwhile. Rates are ALLOWs a second; of a core: by the CPU time (user and system) of the server. Memory: what is in RAM and the process’s own (RssAnon); ` +
      `the embedded bus maps its file besides, which grows with the log, and of which the kernel keeps in RAM what it has room for. ${subjects.hasNative ? native : ''}${mixture}`,
    rows: [...rates.rows(), ...paced, ...memory],
  }
}

type Shape = 'single' | 'boxcar' | 'single, one at a time' | 'boxcar, one at a time'
const shapes: readonly Shape[] = ['single', 'boxcar', 'single, one at a time', 'boxcar, one at a time']

async function ratesOf({ quick, progress }: Bench, subjects: Subjects): Promise<Rates> {
  const rates = new Rates()
  const run = async (subject: Subject, shape: Shape): Promise<Run> => {
    const { caller, server } = subject
    const one = shape.endsWith('one at a time')
    if (shape.startsWith('single')) {
      const requests = await caller.singles(quick ? 30 : one ? lot / 4 : lot)
      return closed(server, requests, one ? 1 : width)
    }
    const requests = await caller.boxcars(quick ? 2 : lot / boxcar)
    return closed(server, requests, one ? 1 : boxcars)
  }
  for (const subject of subjects.all) await run(subject, 'single') // compiled and optimised, as it will be for hours
  for (let round = 0; round < (quick ? 1 : rounds); round++) {
    for (const mode of ['plain', 'full'] as const) {
      const requests = await subjects.of(mode, few).caller.singles(quick ? 50 : lot)
      rates.add(`echo of ${mode} requests`, await echoed(subjects.echo, requests, width))
    }
    for (const shape of shapes)
      for (const subject of subjects.all) {
        progress(`pdp: round ${round + 1}, ${nameOf(subject)}, ${shape}`)
        rates.add(`${nameOf(subject)}, ${shape}`, await run(subject, shape))
      }
  }
  return rates
}

/**
 * The latency of a request at a decision point that has the core to itself, at half of its peak rate. A window of
 * seconds contains a garbage collection or none, so there are several.
 */
async function atHalfOfThePeak({ quick, progress }: Bench, { all }: Subjects, rates: Rates): Promise<Row[]> {
  const asked = all
    .filter(({ mode }) => mode === 'plain' || mode === 'full')
    .map((subject) => ({ subject, p99: [] as number[], late: 0 }))
  progress('pdp: half of the peak, once what followed the peak is done')
  if (!quick) await pause(settledMs)
  for (const { server } of all) server.hold()
  for (let round = 0; round < (quick ? 1 : rounds); round++)
    for (const one of asked) {
      const { caller, server } = one.subject
      progress(`pdp: half of the peak, round ${round + 1}, ${nameOf(one.subject)}`)
      const half = Math.max(1, rates.of(one.subject, 'single').rate / 2) // if every call was late, no slower than one a second
      await server.release()
      // It may have lost its memory of proofs while it was held, and it catches up with what others did meanwhile.
      await caller.learnNonce?.(server.url)
      if (!quick) await open(server, await caller.singles(Math.ceil(2 * half)), half)
      const requests = await caller.singles(quick ? 50 : Math.min(2 * lot, Math.ceil(half * pacedSeconds)))
      const { each, late } = await open(server, requests, half)
      server.hold()
      one.p99.push(percentile(each, 0.99))
      one.late += late
    }
  for (const { server } of all) await server.release()
  return asked.flatMap(({ subject, p99, late }): Row[] => {
    const name = `${nameOf(subject)}: p99 at half of the peak`
    return [
      { name, value: median(p99), unit: 'ms', target: { atMost: 25 } },
      { name: `${name}, the worst of ${p99.length}`, value: Math.max(...p99), unit: 'ms' },
      ...(late > 0 ? [{ name: `${nameOf(subject)}: denied for being late`, value: late, unit: '' } as const] : []),
    ]
  })
}

class Rates {
  readonly #runs = new Map<string, Run[]>()

  add(name: string, run: Run): void {
    this.#runs.set(name, [...(this.#runs.get(name) ?? []), run])
  }

  of(subject: Pick<Subject, 'mode' | 'policies'>, shape: Shape) {
    return this.#of(`${nameOf(subject)}, ${shape}`)
  }

  #of(name: string) {
    const runs = this.#runs.get(name) ?? []
    return {
      rate: median(runs.map(({ rate }) => rate)),
      ofCore: median(runs.map(({ ofCore }) => ofCore)),
      late: runs.reduce((sum, { late }) => sum + late, 0),
    }
  }

  /** Seconds of CPU time for a decision, over all rounds together: the kernel counts in steps of 10 ms, which are much of one round. */
  #cost(name: string): number {
    const runs = this.#runs.get(name) ?? []
    return runs.reduce((sum, { ofCore }) => sum + 1 / ofCore, 0) / runs.length
  }

  rows(): Row[] {
    const each = [...this.#runs.keys()].flatMap((name): Row[] => {
      const { rate, ofCore, late } = this.#of(name)
      return [
        { name, value: rate, unit: '/s' },
        // One at a time, it waits more than it works, and the steps of 10 ms would dominate.
        ...(name.endsWith('one at a time') ? [] : [{ name: `${name}, of a core`, value: ofCore, unit: '/s' } as const]),
        ...(late === 0 ? [] : [{ name: `${name}, denied for being late`, value: late, unit: '' } as const]),
      ]
    })
    return [
      ...each,
      ...this.#ratios('plain'),
      ...this.#native(),
      ...this.#ratios('full'),
      ...[few, many].map((n) => this.#evidence(n)),
    ]
  }

  /** The CPU time of a decision by compiled policies, compared with Cedar's own. Where there is no cargo there are no rows. */
  #native(): Row[] {
    const costs = (mode: 'plain' | 'native Cedar', policies: number, shape: Shape) =>
      this.#cost(`${nameOf({ mode, policies })}, ${shape}`)
    const echo = this.#cost('echo of plain requests')
    const least = ratio('plain: CPU time ÷ echo', costs('plain', few, 'single') / echo, { atMost: 1.6 })
    if (!this.#runs.has(`${nameOf({ mode: 'native Cedar', policies: few })}, single`)) return [least]
    const against = (policies: number, shape: 'single' | 'boxcar', target?: Row['target']) =>
      ratio(
        `plain: CPU time ÷ native Cedar, ${shown(policies)} policies, ${shape}`,
        costs('plain', policies, shape) / costs('native Cedar', policies, shape),
        target,
      )
    return [
      least,
      against(few, 'single', { atMost: 1 }),
      against(few, 'boxcar', { atMost: 0.5 }),
      against(many, 'single'),
      against(many, 'boxcar'),
    ]
  }

  #ratios(mode: 'plain' | 'full'): Row[] {
    const of = (shape: Shape, policies = few) => this.of({ mode, policies }, shape)
    const echo = this.#of(`echo of ${mode} requests`)
    const [one, more] = [of('single'), of('single', many)]
    const boxcarRow = (how: string, value: number) => ratio(`${mode}: boxcar ÷ single, ${how}`, value, { atLeast: 4 })
    return [
      ratio(`${mode} ÷ echo`, one.rate / echo.rate),
      ratio(`${mode}: cost of ${shown(many)} policies ÷ ${few}`, one.rate / more.rate, { atMost: 1.2 }),
      ratio(`${mode}: the same in CPU time`, one.ofCore / more.ofCore, { atMost: 1.2 }),
      boxcarRow('one at a time', of('boxcar, one at a time').rate / of('single, one at a time').rate),
      boxcarRow('many in flight', of('boxcar').rate / one.rate),
    ]
  }

  #evidence(policies: number): Row {
    const [on, off] = (['full', 'full, no evidence'] as const).map((mode) => this.of({ mode, policies }, 'single').rate)
    return ratio(`evidence on ÷ off, ${shown(policies)} policies`, (on ?? 0) / (off ?? 0), { atLeast: 0.75 })
  }
}

const ratio = (name: string, value: number, target?: Row['target']): Row => ({
  ...{ name, value, unit: '×' },
  ...(target ? { target } : {}),
})
const shown = (count: number) => count.toLocaleString('en-US')
const nameOf = ({ mode, policies }: Pick<Subject, 'mode' | 'policies'>) => `${mode}, ${shown(policies)} policies`

/** Its own memory over time, for decision points that are already warm. */
async function memoryOf({ count, progress }: Bench & { count: number }, subject: Subject): Promise<Row[]> {
  const { server, caller, mode } = subject
  const decide = async (decisions: number) => {
    for (let left = decisions; left > 0; left -= lot) {
      progress(`pdp: memory, ${mode}, ${left} to go`)
      await closed(server, await caller.singles(Math.min(lot, left)), width)
    }
    return ownMiB(server.pid)
  }
  const first = await decide(Math.ceil(count / 10))
  const half = await decide(Math.ceil(count * 0.4))
  const all = await decide(Math.ceil(count / 2))
  const after = (decisions: number) => `${mode}: memory after ${shown(decisions)} decisions more`
  return [
    { name: after(Math.ceil(count / 10)), value: first, unit: 'MiB' },
    { name: after(Math.ceil(count / 2)), value: half, unit: 'MiB' },
    { name: after(count), value: all, unit: 'MiB' },
    { name: `${mode}: memory after all ÷ after half`, value: all / half, unit: '×', target: { atMost: 1.1 } },
  ]
}
