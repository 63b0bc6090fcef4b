import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { expect, it, onTestFinished, vi } from 'vitest'
import { CommitQueue, type QueueLimits } from './commit-queue.ts'

/** A queue over a disk that commits when the test says so. */
function queueOnSlowDisk(limits: Partial<QueueLimits> = {}) {
  const commits: string[][] = []
  const pending: PromiseWithResolvers<boolean>[] = []
  let putting: string[] = []
  const queue = new CommitQueue((puts) => {
    putting = []
    puts()
    commits.push(putting)
    const answer = Promise.withResolvers<boolean>()
    pending.push(answer)
    return answer.promise
  }, limits)
  const seen: string[] = []
  const add = (name: string, bytes = 1) => {
    const put = () => void putting.push(name)
    return queue.add({ put, durable: () => void seen.push(`${name} durable`), events: 1, bytes }).then(
      () => seen.push(`${name} answered`),
      (error: { code: string }) => seen.push(`${name} ${error.code}`),
    )
  }
  const committing = async (count: number) => {
    while (commits.length < count) await sleep(1)
  }
  return { queue, commits, pending, seen, add, committing }
}

it('carries in one commit all that gathered while the last one was in flight', async () => {
  const { commits, pending, add, committing } = queueOnSlowDisk()
  const first = add('first')
  await committing(1)
  const rest = Array.from({ length: 100 }, (_, n) => add(`${n}`))
  pending[0]?.resolve(true)
  await first
  await committing(2)
  pending[1]?.resolve(true)
  await Promise.all(rest)
  expect(commits).toEqual([['first'], Array.from({ length: 100 }, (_, n) => `${n}`)])
})

it('carries in one commit all that was added in one turn, by callers that answer in several steps', async () => {
  const { commits, pending, add, committing } = queueOnSlowDisk()
  const caller = async (name: string) => {
    await Promise.resolve().then(() => Promise.resolve())
    await add(name)
  }
  const calls = [add('a'), caller('b'), caller('c')]
  await committing(1)
  pending[0]?.resolve(true)
  await Promise.all(calls)
  expect(commits).toEqual([['a', 'b', 'c']])
})

it('carries in one commit all that was added in one turn, by callbacks that follow one another', async () => {
  const { commits, pending, add, committing } = queueOnSlowDisk()
  const calls = ['a', 'b', 'c'].map((name) => new Promise((resolve) => setImmediate(() => resolve(add(name)))))
  await committing(1)
  pending[0]?.resolve(true)
  await Promise.all(calls)
  expect(commits).toEqual([['a', 'b', 'c']])
})

it('answers no call before the commit is durable, and shows it before it answers (V2)', async () => {
  const { pending, seen, add, committing } = queueOnSlowDisk()
  const calls = [add('a'), add('b')]
  await committing(1)
  await sleep(5)
  expect(seen).toEqual([])
  pending[0]?.resolve(true)
  await Promise.all(calls)
  expect(seen).toEqual(['a durable', 'b durable', 'a answered', 'b answered'])
})

it('refuses with queue_full what finds no room, and takes it again when there is', async () => {
  const { queue, pending, add, committing } = queueOnSlowDisk({ events: 2, bytes: 100 })
  const first = add('in flight')
  await committing(1)
  expect(() => queue.admit(1000, 1000)).not.toThrow() // an empty queue admits any size, because waiting would never make more room
  const waiting = [add('a', 60)]
  expect(() => queue.admit(1, 41)).toThrow(/queue_full/)
  waiting.push(add('b', 10))
  expect(() => queue.admit(1, 1)).toThrow(/queue_full/)
  pending[0]?.resolve(true)
  await committing(2)
  expect(() => queue.admit(2, 100)).not.toThrow()
  pending[1]?.resolve(true)
  await Promise.all([first, ...waiting])
})

it('splits what gathered into commits of bounded size, and lets a larger write go alone', async () => {
  const { commits, pending, add, committing } = queueOnSlowDisk({ commitBytes: 10 })
  const calls = [add('a', 6), add('b', 4), add('c', 1), add('d', 50)]
  for (const n of [0, 1, 2]) {
    await committing(n + 1)
    pending[n]?.resolve(true)
  }
  await Promise.all(calls)
  expect(commits).toEqual([['a', 'b'], ['c'], ['d']])
})

it('answers no call while a commit is late, and goes on once that commit is answered, even minutes later (V2)', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  const { queue, pending, seen, add, committing } = queueOnSlowDisk()
  const calls = [add('in flight')]
  await committing(1)
  calls.push(add('waiting'))
  expect(queue.late).toBe(false)
  vi.advanceTimersByTime(240_000)
  await nextTurn()
  expect(queue.late).toBe(true)
  expect(seen).toEqual([])
  pending[0]?.resolve(true)
  await committing(2)
  expect(queue.late).toBe(false)
  pending[1]?.resolve(true)
  await Promise.all(calls)
  expect(seen).toEqual(['in flight durable', 'in flight answered', 'waiting durable', 'waiting answered'])
})

it.each<[string, (answer: PromiseWithResolvers<boolean> | undefined) => void]>([
  ['failed', (answer) => answer?.reject(new Error('EIO'))],
  ['was refused', (answer) => answer?.resolve(false)],
  ['did not answer in time', () => {}],
])('gives outcome_unknown to all, and never commits again, once a commit %s (V13)', async (_, end) => {
  const { queue, commits, pending, seen, add, committing } = queueOnSlowDisk({ commitMs: 20 })
  const calls = [add('in flight')]
  await committing(1)
  calls.push(add('waiting'))
  end(pending[0])
  await Promise.all(calls)
  await add('later')
  expect(seen).toEqual(['in flight outcome_unknown', 'waiting outcome_unknown', 'later outcome_unknown'])
  expect(() => queue.admit(1, 1)).toThrow(/outcome_unknown/)
  await expect(queue.broken).rejects.toMatchObject({ code: 'outcome_unknown' })
  await queue.idle()
  expect(commits).toHaveLength(1)
})
