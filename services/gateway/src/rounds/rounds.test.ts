import type { Action } from '@bailiwick/credentials'
import type { Permitted, Round } from '@bailiwick/pep'
import { expect, it } from 'vitest'
import { Rounds } from './rounds.ts'

const call = (properties: Action['properties'] = {}, tool = 'read'): Action => ({
  name: 'tools/call',
  properties,
  resource: { type: 'tool', id: `billing/${tool}` },
})
const answered = (state: unknown, properties: Action['properties'] = {}, tool?: string) =>
  call({ ...properties, inputResponses: {}, ...(state === undefined ? {} : { requestState: state }) }, tool)
const noon = 1_790_000_000_000
const clock = { now: () => noon }
const permitted = (n: number, action = call()) => {
  const round: Round = { decisionId: `dec_${n}`, first: { action: 'hash' }, since: noon }
  return { round, action } as Pick<Permitted, 'round' | 'action'>
}

/** Which round a call goes on with. */
async function goesOn(rounds: Rounds, action: Action | undefined, result: object = { allowed: true }) {
  let from: Round | undefined
  await rounds.goOn(action, async (continues) => {
    from = continues
    return result as never
  })
  return from?.decisionId
}

it('a call goes on with the one that has its arguments and its state, once (V10)', async () => {
  const rounds = new Rounds(clock)
  rounds.open(permitted(1, call({ n: 1 })), { state: 's' })
  rounds.open(permitted(2, call({ n: 2 })), { state: 's' })
  rounds.open(permitted(3, call({ n: 1 })), { state: undefined })
  expect(await goesOn(rounds, answered('s', { n: 2 }))).toBe('dec_2')
  expect(await goesOn(rounds, answered('s', { n: 2 }))).toBeUndefined()
  expect(await goesOn(rounds, answered(undefined, { n: 1 }))).toBe('dec_3')
  expect(await goesOn(rounds, answered('s', { n: 1 }))).toBe('dec_1')
})

it.each<[string, Action | undefined]>([
  ['no answers', call()],
  ['other arguments', answered('s', { n: 1 })],
  ['another tool', answered('s', {}, 'adjust')],
  ['another state', answered('t')],
  ['a state that is no text', answered(0)],
  ['no state', answered(undefined)],
  ['no action', undefined],
])('a call with %s is a call of its own (V9)', async (_, action) => {
  const rounds = new Rounds(clock)
  rounds.open(permitted(1), { state: 's' })
  expect(await goesOn(rounds, action)).toBeUndefined()
  expect(await goesOn(rounds, answered('s'))).toBe('dec_1')
})

it('the answers may come again after a denial, and not after an error: the server may have them (V10)', async () => {
  const rounds = new Rounds(clock)
  rounds.open(permitted(1), { state: 's' })
  expect(await goesOn(rounds, answered('s'), { allowed: false })).toBe('dec_1')
  expect(await goesOn(rounds, answered('s'), { refused: 'mcp_message_malformed' })).toBe('dec_1')
  await expect(rounds.goOn(answered('s'), () => Promise.reject(new Error('upstream_failed')))).rejects.toThrow()
  expect(await goesOn(rounds, answered('s'))).toBeUndefined()
})

it.each(['round_invalid', 'round_used'])('the answers are a call of their own after %s', async (reason) => {
  const rounds = new Rounds(clock)
  rounds.open(permitted(1), { state: 's' })
  expect(await goesOn(rounds, answered('s'), { allowed: false, reason })).toBe('dec_1')
  expect(await goesOn(rounds, answered('s'))).toBeUndefined()
})

it.each(['round_open', 'rounds_exhausted', 'uses_reserved'])('the answers may come again after %s', async (reason) => {
  const rounds = new Rounds(clock)
  rounds.open(permitted(1), { state: 's' })
  for (let n = 0; n < 3; n++) expect(await goesOn(rounds, answered('s'), { allowed: false, reason })).toBe('dec_1')
})

it('answers that come more than 30 minutes after the first round are a call of their own', async () => {
  let now = noon
  const rounds = new Rounds({ now: () => now })
  for (const n of [1, 2]) rounds.open(permitted(n), { state: `${n}` })
  now += 30 * 60_000
  expect(await goesOn(rounds, answered('1'))).toBe('dec_1')
  now++
  expect(await goesOn(rounds, answered('2'))).toBeUndefined()
})

it('while the answers are decided on, the same answers are a call of their own (V10)', async () => {
  const rounds = new Rounds(clock)
  rounds.open(permitted(1), { state: 's' })
  let second: string | undefined = 'nothing yet'
  await rounds.goOn(answered('s'), async () => {
    second = await goesOn(rounds, answered('s'))
    return { allowed: true } as never
  })
  expect(second).toBeUndefined()
})

it('does not keep a call that began with answers, nor one whose questions did not arrive', async () => {
  const rounds = new Rounds(clock)
  expect(rounds.open({ round: undefined, action: call() } as never, { state: 's' })).toBeUndefined()
  const open = rounds.open(permitted(1), { state: 's' })
  if (open !== undefined) rounds.forget(open)
  expect(await goesOn(rounds, answered('s'))).toBeUndefined()
})

it('keeps so many, and forgets the oldest first (V18)', async () => {
  const rounds = new Rounds(clock)
  for (let n = 1; n <= 17; n++) rounds.open(permitted(n), { state: `${n}` })
  expect(await goesOn(rounds, answered('1'))).toBeUndefined()
  expect(await goesOn(rounds, answered('2'))).toBe('dec_2')
})
