import type { InitialEntities } from '@bailiwick/installation'
import { systemClock } from '@bailiwick/kit'
import { sample } from '@bailiwick/standalone/sample'
import { type Approver, enrolApprover, type System, type SystemOptions, startSystem } from '@bailiwick/testkit'
import { type InvoicesApi, startInvoicesApi } from '../demo/invoices-api.ts'
import { openAdapters } from './adapters-under-test.ts'

/** All four services on the adapters under test, over real HTTP; the first approver; and a guarded API. */
export interface Whole extends AsyncDisposable {
  system: System
  approver: Approver
  invoices: InvoicesApi
  /** How far the shared clock is ahead of the machine's: ms. */
  time: { ahead: number }
}

export async function openWhole(
  options: Omit<SystemOptions, 'adapters' | 'clock'> & { entities?: (sample: InitialEntities) => InitialEntities } = {},
): Promise<Whole> {
  await using opened = new AsyncDisposableStack()
  const time = { ahead: 0 }
  const { bus, store } = opened.use(await openAdapters(() => time.ahead))
  const clock = { now: () => systemClock.now() + time.ahead, monotonic: () => systemClock.monotonic() }
  const env = { BAILIWICK_DECISION_DEADLINE: '10s', BAILIWICK_MAX_STALENESS: '10s', ...options.env }
  const system = opened.use(await startSystem({ ...options, env, clock, adapters: { bus, grantStore: store } }))
  const approver = await enrolApprover(system)
  const invoices = opened.use(await startInvoicesApi(system, { clock, timeoutMs: 12_000 }))
  const owned = opened.move()
  return { system, approver, invoices, time, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

/** The arguments of `agent.fetch` for a call of one of the sample API's tools. */
export const toolCall = (tool: string, properties: object) => ({
  action: 'tools/call',
  resource: { type: 'tool', id: `${sample.toolServer}/${tool}` },
  properties: { ...properties },
})
