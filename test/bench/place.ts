import type { SigningKey } from '@bailiwick/credentials'
import { sampleKey } from '@bailiwick/standalone/sample'
import type { RunningSystem, SystemOptions } from '@bailiwick/testkit'
import { World } from './world.ts'

/** The parts of a data directory with grants that agents and enforcement points need, whichever process serves it now. */
export interface Place extends Pick<RunningSystem, 'data' | 'url' | 'trust' | 'invoicesUrl' | 'clock' | 'random'> {
  agent: string
  key: SigningKey<'agent'>
  grantIds: string[]
}

/** A data directory with grants, from a system that has ended. */
export async function granted(
  dir: string,
  grants: number,
  options: Pick<SystemOptions, 'policies'> = {},
): Promise<Place> {
  await using world = await World.open(dir, options)
  const grantIds: string[] = []
  while (grantIds.length < grants) grantIds.push((await world.grant()).grantId)
  const { data, url, trust, invoicesUrl, clock, random } = world.system
  const key = sampleKey(data, 'reconciler')
  return { data, url, trust, invoicesUrl, clock, random, agent: world.agentId, key, grantIds }
}
