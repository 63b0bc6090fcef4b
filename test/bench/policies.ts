import { join } from 'node:path'
import { systemRandom } from '@bailiwick/kit'
import {
  AuthZenPolicies,
  EngineWatch,
  oneIn,
  type PlainRequest,
  PolicySlot,
  readPolicyDirectory,
} from '@bailiwick/policy'
import { type Bench, type Measure, median, type Row } from './measure.ts'
import { folderRequest, mixture, writeFolderPolicies } from './pdp/policy-files.ts'

const sizes = [100, 1000, 10_000]
const rounds = 9
const compareOneIn = 1000

interface Subject {
  policies: number
  engine: 'Cedar' | 'compiled'
  set: AuthZenPolicies
  /** CPU time of a decision, in µs: of the first after the set was loaded, and of each later round. */
  first: number
  later: number[]
}

/** What a decision costs by policies alone, in cedar-wasm and as closures. */
export async function measurePolicies({ dir, quick, progress }: Bench): Promise<Measure> {
  const asked = quick ? 50 : 2000
  let next = 0
  const requests = (count: number) =>
    Array.from({ length: count }, () => folderRequest(next++) as unknown as PlainRequest)
  const subjects: Subject[] = []
  for (const policies of quick ? sizes.slice(0, 2) : sizes) {
    const directory = join(dir, `policies-${policies}`)
    writeFolderPolicies(directory, policies)
    for (const engine of ['Cedar', 'compiled'] as const) {
      progress(`policies: ${engine}, ${policies}`)
      const watch = engine === 'compiled' ? comparing() : undefined
      const set = new AuthZenPolicies(
        readPolicyDirectory(directory),
        new PolicySlot(`bench ${engine} ${policies}`),
        watch,
      )
      subjects.push({ policies, engine, set, first: cost(set, requests(asked)), later: [] })
    }
  }
  for (let round = 0; round < (quick ? 1 : rounds); round++)
    for (const subject of subjects) {
      progress(`policies: round ${round + 1}, ${subject.engine}, ${subject.policies}`)
      subject.later.push(cost(subject.set, requests(asked)))
    }
  return {
    id: 'policies',
    title: 'Policies: compiled, beside Cedar',
    how:
      `A decision by policies alone, without HTTP: the CPU time of this process (user and system) for ${asked.toLocaleString('en-US')} evaluations, of which no two are ` +
      `alike, in turns, ${quick ? 1 : rounds} times; medians. First: the first evaluations after a set was loaded. Compiled: one answer in ${compareOneIn} is compared with ` +
      `Cedar’s, which is in the figures; a difference would end the run. ${mixture}`,
    rows: [...subjects.flatMap(rowsOf), ...ratios(subjects)],
  }
}

function comparing(): EngineWatch {
  const told = {
    answered: (by: string, why: string) => {
      if (by !== 'compiled') throw new Error(`not compiled: ${why}`)
    },
    compared: () => undefined,
    different: (difference: object) => {
      throw new Error(`the engines differ: ${JSON.stringify(difference)}`)
    },
  }
  return new EngineWatch(told, oneIn(compareOneIn, systemRandom), (compare) => compare())
}

/** µs of a decision. */
function cost(set: AuthZenPolicies, requests: readonly PlainRequest[]): number {
  const before = process.cpuUsage()
  for (const request of requests) {
    const { outcome } = set.evaluate(request)
    if (outcome !== 'allow') throw new Error(`an answer that no request gets: ${outcome}`)
  }
  const { user, system } = process.cpuUsage(before)
  return (user + system) / requests.length
}

const nameOf = ({ engine, policies }: Pick<Subject, 'engine' | 'policies'>) =>
  `${engine}, ${policies.toLocaleString('en-US')} policies`

const rowsOf = (subject: Subject): Row[] => [
  { name: nameOf(subject), value: median(subject.later), unit: 'µs' },
  { name: `${nameOf(subject)}, first`, value: subject.first, unit: 'µs' },
]

function ratios(subjects: readonly Subject[]): Row[] {
  const of = (engine: Subject['engine'], policies: number) => {
    const found = subjects.find((each) => each.engine === engine && each.policies === policies)
    return found ? { later: median(found.later), first: found.first } : { later: Number.NaN, first: Number.NaN }
  }
  const measured = [...new Set(subjects.map(({ policies }) => policies))]
  const [least = 0, most = 0] = [measured[0], measured.at(-1)]
  return [
    ...measured.map((policies): Row => {
      const value = of('compiled', policies).later / of('Cedar', policies).later
      return { name: `compiled ÷ Cedar, ${policies.toLocaleString('en-US')} policies`, value, unit: '×' }
    }),
    {
      name: `compiled: ${most.toLocaleString('en-US')} policies ÷ ${least}`,
      value: of('compiled', most).later / of('compiled', least).later,
      unit: '×',
      target: { atMost: 1.15 },
    },
    {
      name: `compiled, first: ${most.toLocaleString('en-US')} policies ÷ ${least}`,
      value: of('compiled', most).first / of('compiled', least).first,
      unit: '×',
      target: { atMost: 1.15 },
    },
  ]
}
