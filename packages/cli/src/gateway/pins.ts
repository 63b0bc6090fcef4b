import { mkdirSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { writeFileDurably } from '@bailiwick/kit'
import type { Plan } from './plan.ts'

/**
 * Keeps the proposed manifest. If a file holds the one that people approved, that one is the pin and the proposed one waits next to it:
 * with the approved one, the gateway goes on serving what did not change. Otherwise the proposed one becomes the pin.
 */
export async function proposePin(plan: Plan): Promise<void> {
  const { pin, base, changes } = plan
  if (base === 'none') return approvePin(plan)
  await adoptPin(plan)
  if (changes.length > 0) await write(pin.next, pin.text)
}

/** Makes the manifest that was read the pin, after people have approved it. */
export async function approvePin({ pin }: Pick<Plan, 'pin'>): Promise<void> {
  await write(pin.path, pin.text)
  await rm(pin.next, { force: true })
}

/**
 * Makes what people approved the pin, if the pin is something else: a proposal that was approved since, or what was read, if `isSame` says
 * that they approved exactly this. Resolves with whether the pin changed.
 */
export async function adoptPin(plan: Pick<Plan, 'pin' | 'base'>, isSame = false): Promise<boolean> {
  if (plan.base === 'pin' || (plan.base === 'none' && !isSame)) return false
  if (plan.base === 'next') await rename(plan.pin.next, plan.pin.path)
  else await approvePin(plan)
  return true
}

async function write(path: string, text: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true })
  await writeFileDurably(path, Buffer.from(text), { mode: 0o644 })
}
