import { mkdirSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { writeFileDurably } from '@bailiwick/kit'
import type { Plan } from './plan.ts'

/**
 * Keeps what is proposed. If people approved another manifest, that one stays in the pin file and the proposed one waits beside it:
 * by the old one the gateway lets go on what did not change. Otherwise there is nothing to go on with, and the proposed one is the pin.
 */
export async function proposePin(plan: Plan): Promise<void> {
  const { pin, base, changes } = plan
  if (base === 'none') return approvePin(plan)
  await adoptPin(plan)
  if (changes.length > 0) await write(pin.next, pin.text)
}

/** After the approval of what was read: it is the pin. */
export async function approvePin({ pin }: Pick<Plan, 'pin'>): Promise<void> {
  await write(pin.path, pin.text)
  await rm(pin.next, { force: true })
}

/**
 * What people approved becomes the pin, where the pin is something else: a proposal that was approved since, or what was read, if `isSame`
 * says that this is what they approved. Resolves with whether the pin changed.
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
