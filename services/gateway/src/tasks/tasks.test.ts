import { ServiceError } from '@bailiwick/errors'
import type { JsonObject } from '@bailiwick/mcp'
import type { Owed, Permitted } from '@bailiwick/pep'
import { expect, it } from 'vitest'
import { answerTo, behaviour, type Request } from '../fixture/behaviour.fixture.ts'
import { ownRequest } from '../protocol/outgoing.ts'
import { type Channel, whole } from '../servers/channel.ts'
import { Tasks } from './tasks.ts'

/** A conversation with the fixture in memory, whose tasks are asked about as often as may be. */
function aConversation(era: Channel['era'] = 'modern') {
  const state = behaviour()
  const asked: string[] = []
  const channel: Channel = {
    ...{ era, isOver: false, onListChanged: () => undefined, mayAsk: () => false, deny: () => undefined },
    async exchange({ body }, _, rewrite) {
      const message = JSON.parse(Buffer.from(body).toString()) as Request
      asked.push(`${message.method} ${message.params?.taskId}`)
      const answers = answerTo(state, message, era === 'modern')
      const value = Array.isArray(answers) ? (answers.at(-1) as JsonObject) : {}
      const text = JSON.stringify(value)
      const shown = Buffer.from(rewrite?.(text, value) ?? text)
      return { status: 200, headers: ['content-type', 'application/json'], body: whole(shown) }
    },
    end: async () => undefined,
  }
  let ids = 0
  const watched: ((reason: string) => void)[] = []
  const watch = (_: string, cut: (reason: string) => void) => {
    watched.push(cut)
    return { [Symbol.dispose]: () => undefined }
  }
  const tasks = new Tasks(channel, () => `own-${++ids}`, watch)
  const life = new AbortController()
  /** A call that was answered by a task, in so many bytes. */
  const begin = (owed: Partial<Owed> = {}, { answered = 0, args = {} as Request } = {}) => {
    const id = `task-${state.jobs.size + 1}`
    state.jobs.set(id, { id, name: 'read', args, status: 'working', responses: [] })
    const permitted = {
      decisionId: `dec_${id}`,
      signal: life.signal,
      owed: { redact: [], mostBytes: undefined, ...owed },
    }
    const task = tasks.begin({ id, status: 'working', hasFailed: false, pollMs: 1 }, permitted as unknown as Permitted)
    task.answered(answered)
    return task
  }
  const read = async (taskId: string, method = 'tasks/get') => {
    const task = tasks.find(taskId)
    if (task === undefined) throw new Error('unknown')
    const answer = await tasks.pass(task, method, ownRequest(era, 'c', method, { taskId }, ''), life.signal)
    if ('withheld' in answer) throw answer.withheld
    const chunks: Uint8Array[] = []
    for await (const chunk of answer.executed.body) chunks.push(chunk)
    await answer.over
    return Buffer.concat(chunks).toString()
  }
  const finish = (id: string, status: 'completed' | 'failed' = 'completed') => {
    const job = state.jobs.get(id)
    if (job !== undefined) job.status = status
  }
  return { state, asked, tasks, life, watched, begin, read, finish }
}

it('learns of the end by itself, and reports it once its result was read', async () => {
  const { begin, finish, read, asked } = aConversation()
  const task = begin()
  finish(task.id)
  await expect.poll(() => task.isRunning).toBe(false)
  expect([task.isReported, asked.every((each) => each === `tasks/get ${task.id}`)]).toEqual([false, true])
  const text = await read(task.id)
  await expect(task.effect).resolves.toEqual({ status: 'succeeded', egress_bytes: Buffer.byteLength(text) })
})

it('reads in the result that the tool failed, in both revisions', async () => {
  const modern = aConversation()
  const one = modern.begin({}, { args: { fail: true } as Request })
  modern.finish(one.id)
  await modern.read(one.id)
  await expect(one.effect).resolves.toMatchObject({ status: 'failed' })
  const legacy = aConversation('legacy')
  const other = legacy.begin({}, { args: { fail: true } as Request })
  legacy.finish(other.id)
  await legacy.read(other.id, 'tasks/result')
  await expect(other.effect).resolves.toMatchObject({ status: 'failed' })
})

it('hides in the result what the decision of its call hides', async () => {
  const { begin, read, finish } = aConversation()
  const task = begin({ redact: ['text'] })
  finish(task.id)
  expect(JSON.parse(await read(task.id)).result.result.content).toEqual([{ type: 'text', text: '[redacted]' }])
})

it('lets no more bytes out than the decision of its call, over all answers about it (V9)', async () => {
  const { begin, read, finish, tasks } = aConversation()
  const { length } = Buffer.from(await aConversationOnce())
  // One answer, and the result: not a byte more.
  const task = begin({ mostBytes: 100 + length }, { answered: 100 })
  await read(task.id)
  await expect(read(task.id)).rejects.toMatchObject({ code: 'answer_withheld' })
  expect(task.isReported).toBe(false)
  // Its result can never leave, so nothing waits for it.
  finish(task.id)
  await expect(read(task.id)).rejects.toMatchObject({ code: 'answer_withheld' })
  await expect(task.effect).resolves.toEqual({ status: 'succeeded', egress_bytes: length })
  expect(tasks.find(task.id)).toBeUndefined()
})

/** What the fixture says of a task that is under way. */
async function aConversationOnce(): Promise<string> {
  const { begin, read } = aConversation()
  return read(begin().id)
}

it('is gone once a result with limited bytes was read', async () => {
  const { begin, read, finish, tasks } = aConversation()
  const task = begin({ mostBytes: 10_000 }, { answered: 10 })
  finish(task.id)
  await read(task.id)
  await expect(task.effect).resolves.toMatchObject({ status: 'succeeded' })
  expect(tasks.find(task.id)).toBeUndefined()
})

it('that is cut tells its server, and cannot be read any more (V7)', async () => {
  const { begin, life, state, tasks } = aConversation()
  const task = begin()
  life.abort(new ServiceError('stream_cut', 'grant_revoked'))
  await expect(task.effect).resolves.toEqual({ status: 'unknown', cut: 'grant_revoked', egress_bytes: 0 })
  await expect.poll(() => state.jobs.get(task.id)?.status).toBe('cancelled')
  expect(tasks.find(task.id)).toBeUndefined()
})

it('outlives a decision point that was not heard, and not the grant that this one then says is over (V7)', async () => {
  const { begin, life, watched, state, tasks } = aConversation()
  const task = begin()
  life.abort(new ServiceError('stream_cut', 'pdp_unavailable'))
  expect([task.isRunning, watched.length, tasks.find(task.id)]).toEqual([true, 1, task])
  watched[0]?.('state_stale')
  expect([task.isRunning, watched.length]).toEqual([true, 2])
  watched[1]?.('grant_revoked')
  await expect(task.effect).resolves.toMatchObject({ status: 'unknown', cut: 'grant_revoked' })
  await expect.poll(() => state.jobs.get(task.id)?.status).toBe('cancelled')
})

it('that the server does not know any more is over, and unknown', async () => {
  const { begin, state, tasks } = aConversation()
  const task = begin()
  state.jobs.clear()
  await expect(task.effect).resolves.toMatchObject({ status: 'unknown' })
  expect(tasks.find(task.id)).toBeUndefined()
})

it('makes room by forgetting results, and never a task under way (V18)', async () => {
  const { begin, read, finish, tasks } = aConversation()
  const first = begin()
  for (let n = 1; n < 16; n++) begin()
  expect(() => tasks.checkRoom()).toThrow('queue_full')
  expect(() => begin()).toThrow('upstream_failed')
  finish(first.id)
  await read(first.id)
  tasks.checkRoom()
  begin()
  expect(() => tasks.checkRoom()).toThrow('queue_full')
  await tasks.end()
})
