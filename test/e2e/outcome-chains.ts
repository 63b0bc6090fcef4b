import { outcomeHash } from '@bailiwick/credentials'
import type { World } from './world.ts'

interface Signed {
  decision_id: string
  instance?: string
  sequence: number
  previous?: string
}

/** The faults of the outcomes on a topic: two for one decision, a number twice, or a chain with a gap or a wrong link. */
export async function outcomeChains(world: World): Promise<{ outcomes: number; faults: string[] }> {
  const events = await world.events('decisions.v1')
  const instances = new Map<string, string | undefined>()
  for (const { type, data } of events)
    if (type === 'decision.allowed' && 'call_id' in data) instances.set(data.decision_id, Object(data).instance)
  const signed = new Map<string, { jws: string; said: Signed }>()
  for (const { type, data } of events) {
    if (type !== 'outcome.reported' || !('outcome' in data)) continue
    const said = JSON.parse(Buffer.from(data.outcome.split('.')[1] ?? '', 'base64url').toString()) as Signed
    signed.set(outcomeHash(data.outcome), { jws: data.outcome, said })
  }
  const faults: string[] = []
  const all = [...signed.values()].map(({ said }) => said)
  const twice = (of: string, names: string[]) => {
    if (new Set(names).size < names.length) faults.push(`two outcomes of one ${of}`)
  }
  twice(
    'decision',
    all.map(({ decision_id }) => decision_id),
  )
  const chained = all.filter(({ instance }) => instance !== undefined)
  twice(
    'number',
    chained.map(({ instance, sequence }) => `${instance} ${sequence}`),
  )
  for (const { decision_id, instance, sequence, previous } of all) {
    if (instances.get(decision_id) !== instance) faults.push(`${decision_id}: by another instance`)
    if (instance === undefined) continue
    const before = previous === undefined ? undefined : signed.get(previous)?.said
    const isWhole =
      sequence === 1 ? previous === undefined : before?.sequence === sequence - 1 && before.instance === instance
    if (!isWhole) faults.push(`${instance} ${sequence}: the previous outcome is missing or a different one`)
  }
  return { outcomes: all.length, faults }
}
