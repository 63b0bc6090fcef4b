import { expect, it } from 'vitest'
import { askedBack } from './rounds.ts'

const about = (used: string, server = 'billing') => ({
  server,
  action: { resource: { type: 'tool', id: `${server}/${used}` } },
})
const asks = (more: object = {}) => ({ result: { resultType: 'input_required', inputRequests: {}, ...more } })

it.each(['read', 'resources/read', 'prompts/get'])(
  'an answer to %s may be questions, with or without a state',
  (used) => {
    expect(askedBack('modern', about(used), asks({ requestState: 's' }))).toEqual({ state: 's' })
    expect(askedBack('modern', about(used), asks())).toEqual({ state: undefined })
    expect(askedBack('modern', about(used), asks({ requestState: 1 }))).toEqual({ state: undefined })
  },
)

it.each(['completion/complete', 'tasks/update', 'subscriptions/listen', 'no/such'])(
  'an answer to %s is none: its client cannot send answers',
  (used) => {
    expect(askedBack('modern', about(used), asks())).toBeUndefined()
  },
)

it.each<[string, Parameters<typeof askedBack>]>([
  ['in the legacy era, whose results have any members', ['legacy', about('read'), asks()]],
  ['that is whole', ['modern', about('read'), { result: { resultType: 'complete' } }]],
  ['that is an error', ['modern', about('read'), { error: {} }]],
  ['that is no object', ['modern', about('read'), { result: 'input_required' }]],
])('an answer %s is none', (_, args) => {
  expect(askedBack(...args)).toBeUndefined()
})
