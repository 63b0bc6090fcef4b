import { describe } from 'vitest'
import type { OpenUnderTest } from './contract/fixtures.ts'
import { lossContract } from './contract/loss.contract.ts'
import { memoryContract } from './contract/memory.contract.ts'
import { modelContract } from './contract/model.contract.ts'
import { takesContract } from './contract/takes.contract.ts'
import { treesContract } from './contract/trees.contract.ts'

export type { GrantStoreUnderTest } from './contract/fixtures.ts'

/**
 * The port's other half: what every adapter must pass, on the real thing. `open` gives a store without other users. It may
 * be the same server each time, if it is emptied. All times lie in 2100, so that a server's own clock decides nothing.
 */
export function grantStoreContract(name: string, open: OpenUnderTest): void {
  describe(`${name} grant store`, () => {
    treesContract(open)
    takesContract(open)
    memoryContract(open)
    lossContract(open)
    modelContract(open)
  })
}
