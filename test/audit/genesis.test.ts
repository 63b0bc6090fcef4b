import { run } from '@bailiwick/cli'
import { systemClock, systemRandom } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { audit } from '../audit.ts'
import { type GoodLog, goodLog } from './good-log.ts'

// What a thief of the issuer's and the log's keys could make of the beginning, with every entry signed, chained and in
// the tree.

const verify = async (log: GoodLog) => {
  const out: string[] = []
  const io = {
    out: (line: string) => void out.push(line),
    err: () => undefined,
    clock: systemClock,
    random: systemRandom,
  }
  return { code: await run(['verify', '--data', log.data], { ...io, env: {} }), out: out.join('\n') }
}
const genesisOf = async (log: GoodLog) =>
  (await audit(log.at)).findings.flatMap(({ leaf, rule, detail }) => (leaf === -1 && rule === 'V3' ? [detail] : []))

const first = (log: GoodLog) => [...log.drafts].filter(([, draft]) => draft.topic === 'registry.v1')
const rebuilt = (log: GoodLog, change: (drafts: [string, unknown][]) => [string, unknown][]) => {
  const drafts = change([...log.drafts])
  log.drafts.clear()
  for (const [name, draft] of drafts) log.drafts.set(name, draft as never)
}

it.each<[string, (log: GoodLog) => void, RegExp]>([
  ['a rule left out', (log) => log.drafts.delete('rule registry'), /^14 entities .* trust\.json signs 15$/],
  ['its last entity left out', (log) => log.drafts.delete(first(log).at(-2)?.[0] ?? ''), /^14 entities .* signs 15$/],
  [
    'two entities swapped',
    (log) => {
      const names = first(log).map(([name]) => name)
      const [a = '', b = ''] = [names.at(-3), names.at(-2)]
      rebuilt(log, (drafts) =>
        drafts.map((each) => (each[0] === a ? [b, log.draft(b)] : each[0] === b ? [a, log.draft(a)] : each)),
      )
    },
    /^another genesis, or in another order/,
  ],
])(
  'a log whose registry begins with %s is not what trust.json signs, for audit and verify (V3)',
  async (_, change, said) => {
    using log = await goodLog()
    log.write()
    expect(await verify(log)).toMatchObject({ code: 0 })
    change(log)
    log.write()
    expect(await genesisOf(log)).toEqual([expect.stringMatching(said)])
    expect(await verify(log)).toEqual({
      code: 1,
      out: expect.stringMatching(/does NOT begin with the whole genesis: \d+ of the 15 entities/),
    })
  },
)

it('treats an entity that another instance published again as the loser of a race (V3)', async () => {
  using log = await goodLog()
  rebuilt(log, (drafts) => {
    const again = drafts.find(([name]) => name === 'rule registry')
    return again === undefined
      ? drafts
      : drafts.flatMap((each) => (each === again ? [each, ['again', again[1]]] : [each]))
  })
  log.write()
  expect(await genesisOf(log)).toEqual([])
  expect(await verify(log)).toMatchObject({ code: 0 })
})
