import { EventEmitter } from 'node:events'
import { testClock } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { stopOf } from './stop.ts'

function running() {
  const told = new EventEmitter()
  const clock = testClock()
  const heard: string[] = []
  const stop = stopOf({ told, clock, sleep: () => heard.push('sleeps') })
  stop.program = {
    tell: (signal) => heard.push(signal),
    pause: () => heard.push('pauses'),
    kill: () => heard.push('killed'),
  }
  return { told, clock, heard, stop, send: (signal: NodeJS.Signals) => told.emit(signal, signal) }
}

it('passes on what a terminal says to a program that has none', () => {
  const { heard, stop, send } = running()
  for (const signal of ['SIGWINCH', 'SIGTSTP', 'SIGCONT'] as const) send(signal)
  expect(heard).toEqual(['SIGWINCH', 'pauses', 'sleeps', 'SIGCONT'])
  expect(stop.signal.aborted).toBe(false)
  send('SIGQUIT')
  expect([heard.at(-1), stop.signal.aborted]).toEqual(['SIGQUIT', true])
})

it('takes a Ctrl-C from the terminal and from npx for one, and a later one for another', () => {
  const { clock, heard, send } = running()
  send('SIGINT')
  clock.advance(20)
  send('SIGINT')
  expect(heard).toEqual(['SIGINT'])
  clock.advance(1000)
  send('SIGINT')
  expect(heard).toEqual(['SIGINT', 'SIGINT'])
})

it('ends the wait for a human when there is no program yet, and listens no longer than it is needed', () => {
  const { told, stop, send } = running()
  stop.program = undefined
  send('SIGHUP')
  expect(stop.signal.aborted).toBe(true)
  stop[Symbol.dispose]()
  expect(told.eventNames()).toEqual([])
})
