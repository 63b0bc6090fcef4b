import { describe, expect, it } from 'vitest'
import { refuse, Steps, type Verdict } from './steps.ts'

const one = (): Verdict<{ one: number }> => ({ one: 1 })
const two = ({ one }: { one: number }, { add }: { add: number }): Verdict<{ two: number }> => ({ two: one + add })
const passes = (): Verdict => undefined
const refuses = (): Verdict => refuse('policy_denied', { policies: ['p'] })
const unreached = (): Verdict => expect.unreachable('a step after a refusal was taken')
const late = async ({ one }: { one: number }): Promise<Verdict<{ late: number }>> => ({ late: one })

describe('the steps of a list', () => {
  it('find facts for the steps after them, and leave alone what they were given', () => {
    const given = { zero: 0 }
    const list = Steps.from<{ zero: number }>().step(one).step(passes).step(two)
    expect(list.take(given, { add: 1 })).toEqual({ refused: undefined, facts: { zero: 0, one: 1, two: 2 } })
    expect(given).toEqual({ zero: 0 })
  })

  it('end with the first refusal, which keeps what was found before it', () => {
    const list = Steps.from<object>().step(one).step(refuses).step(unreached)
    const refusal = { refused: 'policy_denied', because: { policies: ['p'] }, facts: { one: 1 } }
    expect(list.take({}, {})).toEqual(refusal)
    expect(
      Steps.from<object>()
        .step(() => refuse('internal'))
        .take({}, {}),
    ).toEqual({
      ...{ refused: 'internal', because: {}, facts: {} },
    })
  })

  it('are taken one after the other where one of them waits', async () => {
    const list = Steps.from<object>().step(one).waits(late).step(passes).step(two)
    expect(await list.takeWaiting({}, { add: 2 })).toEqual({ refused: undefined, facts: { one: 1, late: 1, two: 3 } })
    const refused = Steps.from<object>()
      .step(one)
      .waits(async () => refuses())
      .step(unreached)
    expect(await refused.takeWaiting({}, {})).toMatchObject({ refused: 'policy_denied', facts: { one: 1 } })
  })

  it('do not change a list that is built on', () => {
    const first = Steps.from<object>().step(one)
    first.step(unreached)
    expect(first.take({}, {}).facts).toEqual({ one: 1 })
  })
})
