import { encodeBase64url } from '@bailiwick/credentials'
import type { Producer } from '@bailiwick/instance'
import { expect, it } from 'vitest'
import { CheckpointAnnouncer } from './announce.ts'
import type { Published } from './log.ts'

const root = new Uint8Array(32).fill(1)
const aCheckpoint = (size: number): Published => ({ size, root, note: `note ${size}` })
const turn = () => new Promise((done) => setImmediate(done))

/** A bus that accepts a checkpoint when the test lets it. */
function anAnnouncer() {
  const published: unknown[] = []
  const errors: unknown[] = []
  const answers: PromiseWithResolvers<unknown>[] = []
  const publish = (topic: string, drafts: readonly object[]) => {
    published.push([topic, ...drafts])
    const answer = Promise.withResolvers<unknown>()
    answers.push(answer)
    return answer.promise
  }
  const announcer = new CheckpointAnnouncer({ publish } as Pick<Producer, 'publish'>, 'log.example', (error) =>
    errors.push(error),
  )
  const sizes = () => published.map((each) => (each as [string, { data: { size: number } }])[1].data.size)
  return { announcer, published, errors, answers, sizes }
}

it('announces a checkpoint with its note, under the name of the log', async () => {
  const { announcer, published, answers } = anAnnouncer()
  announcer.announce(aCheckpoint(3))
  const data = { origin: 'log.example', size: 3, root: encodeBase64url(root), checkpoint: 'note 3' }
  expect(published).toEqual([['checkpoints.v1', { type: 'checkpoint.published', subject: 'log.example', data }]])
  answers[0]?.resolve([])
  await announcer[Symbol.asyncDispose]()
})

it('has one on its way, behind which the newest alone waits', async () => {
  const { announcer, answers, sizes } = anAnnouncer()
  for (const size of [1, 2, 3]) announcer.announce(aCheckpoint(size))
  expect(sizes()).toEqual([1])
  answers[0]?.resolve([])
  await turn()
  expect(sizes()).toEqual([1, 3])
  answers[1]?.resolve([])
  await turn()
  announcer.announce(aCheckpoint(4))
  expect(sizes()).toEqual([1, 3, 4])
})

it('goes on behind one that the bus did not take, and tells of that', async () => {
  const { announcer, errors, answers, sizes } = anAnnouncer()
  announcer.announce(aCheckpoint(1))
  announcer.announce(aCheckpoint(2))
  const gone = new Error('the bus is gone')
  answers[0]?.reject(gone)
  await turn()
  expect(errors).toEqual([gone])
  expect(sizes()).toEqual([1, 2])
})

it('waits at its end for what is on its way', async () => {
  const { announcer, answers } = anAnnouncer()
  announcer.announce(aCheckpoint(1))
  let ended = false
  const ending = announcer[Symbol.asyncDispose]().then(() => {
    ended = true
  })
  await turn()
  expect(ended).toBe(false)
  answers[0]?.resolve([])
  await ending
  await anAnnouncer().announcer[Symbol.asyncDispose]()
})

it('waits at its end for no bus that does not answer', async () => {
  const { announcer } = anAnnouncer()
  announcer.announce(aCheckpoint(1))
  await announcer[Symbol.asyncDispose]()
})
