import type { RevocationKind } from '@bailiwick/contracts'
import type { Approver, RunningSystem } from '@bailiwick/testkit'
import type { Cast, Part } from './cast.ts'
import { claimsOf, type Prey } from './revocation-probe.ts'
import type { PassedOn, SubAgents } from './sub-agents.ts'
import type { Granted } from './world.ts'

/**
 * The number of uses of a grant that outlives the revocations under it. They use it one after the other, so that at any
 * moment each revocation has a grant to itself.
 */
const usesOfGrant = 50

interface Scene {
  readonly approver: Approver
  readonly subAgents: SubAgents
  readonly cast: Cast
  grant(part?: Part): Promise<Granted>
  token(grantId: string): Promise<string>
}

/** Targets of revocation, made so that a revocation in one lane ends nothing in another. */
export class Preys {
  readonly #system: RunningSystem
  readonly #scene: Scene
  readonly #kept = new Map<number, { granted: Granted; uses: number }>()

  constructor(system: RunningSystem, scene: Scene) {
    this.#system = system
    this.#scene = scene
  }

  async make(kind: RevocationKind, lane: number): Promise<Prey> {
    const { cast, approver } = this.#scene
    switch (kind) {
      case 'credential': {
        const granted = await this.#lasting(lane)
        const token = await this.#scene.token(granted.grantId)
        return { ...granted, token, target: claimsOf(token).jti }
      }
      case 'delegation': {
        const { delegation, ...passedOn } = await this.passOn(await this.#lasting(lane))
        return { ...passedOn, target: delegation }
      }
      case 'agent':
      case 'approver':
      case 'tool-server': {
        const part = await cast.part(this.#system, approver, lane, kind === 'approver')
        const target = { agent: part.agentId, approver: part.approver.id, 'tool-server': part.toolServer }[kind]
        return { ...(await this.#scene.grant(part)), target }
      }
      case 'grant': {
        const granted = await this.#scene.grant()
        return { ...granted, target: granted.grantId }
      }
      case 'all':
        return { ...(await this.#scene.grant()), target: '*' }
    }
  }

  async passOn(granted: Granted): Promise<Granted & Pick<PassedOn, 'delegation'>> {
    const { key, ...passedOn } = await this.#scene.subAgents.passOn(this.#system, granted.grantId)
    return { ...granted, ...passedOn, actor: { key } }
  }

  async #lasting(lane: number): Promise<Granted> {
    const kept = this.#kept.get(lane)
    if (kept && kept.uses < usesOfGrant) {
      kept.uses++
      return kept.granted
    }
    const granted = await this.#scene.grant()
    this.#kept.set(lane, { granted, uses: 1 })
    return granted
  }
}
