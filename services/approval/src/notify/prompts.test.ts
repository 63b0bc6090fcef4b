import { describe, expect, it } from 'vitest'
import { digestEveryMs, Prompts, promptsPerHour } from './prompts.ts'

const start = digestEveryMs * 1000

describe('how often an approver is prompted', () => {
  it('is 20 times an hour one by one; other approvers still get theirs', () => {
    const prompts = new Prompts()
    for (let n = 0; n < promptsPerHour; n++)
      expect(prompts.ask(`a${n}`, ['olga'], start + n, `agent ${n}`)).toEqual(['olga'])
    expect(prompts.ask('b', ['olga', 'otto'], start + 100, 'b')).toEqual(['otto'])
    expect(prompts.ask('c', ['olga'], start + 100, 'c')).toEqual([])
    expect(prompts.ask('d', ['olga'], start + 3600_000, 'd')).toEqual(['olga'])
    expect(prompts.ask('e', ['olga'], start + 3600_000, 'e')).toEqual([])
  })

  it('is half of what the others leave, by one agent: it never uses up what the next one needs (V18)', () => {
    const prompts = new Prompts()
    const flood = (from: string) =>
      Array.from({ length: 50 }, (_, n) => prompts.ask(`${from}${n}`, ['olga'], start, from)).flat().length
    expect(['a', 'b', 'c', 'd', 'a', 'e', 'f'].map(flood)).toEqual([10, 5, 3, 1, 0, 1, 0])
  })

  it('is a digest once a quarter of an hour beyond, of what still waits', () => {
    const prompts = new Prompts()
    for (let n = 0; n < 30; n++) prompts.ask(`a${n}`, ['olga'], start + n, `agent ${n}`)
    expect(prompts.digest(start + digestEveryMs - 1)).toBeUndefined()
    prompts.end('a29')
    const people = new Map([['olga', { waiting: 29, withheld: 9 }]])
    expect(prompts.digest(start + digestEveryMs)).toEqual({ quarter: 1000, people })
    expect(prompts.digest(start + 2 * digestEveryMs)).toBeUndefined()
    prompts.ask('b', ['olga'], start + 2 * digestEveryMs, 'agent 0')
    expect(prompts.digest(start + 3 * digestEveryMs)?.people).toEqual(new Map([['olga', { waiting: 30, withheld: 1 }]]))
  })

  it('announces the end of a request once, to each approver who knew of it', () => {
    const prompts = new Prompts()
    for (let n = 0; n < promptsPerHour; n++) prompts.ask(`a${n}`, ['olga'], start, `agent ${n}`)
    prompts.ask('b', ['olga', 'otto'], start, 'b')
    expect(prompts.end('b')).toEqual(['otto'])
    expect(prompts.end('b')).toBeUndefined()
    expect(prompts.end('a0')).toEqual(['olga'])
  })

  it('says nothing in a digest of what was answered meanwhile', () => {
    const prompts = new Prompts()
    for (let n = 0; n < 21; n++) prompts.ask(`a${n}`, ['olga'], start, `agent ${n}`)
    prompts.end('a20')
    expect(prompts.digest(start + digestEveryMs)?.people).toEqual(new Map())
  })
})
