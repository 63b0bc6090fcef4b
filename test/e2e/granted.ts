import { adjust, credentialFor, Point } from './agent-side.ts'
import { type Ask, People } from './people.ts'
import { eventually, type Seen, World, type WorldOptions } from './world.ts'

/** A world with a grant, its credential and an enforcement point. */
export async function granted(options: WorldOptions = {}, ask: Ask = {}) {
  const world = await World.open(options)
  const people = await People.enrolled(world)
  const grant = await people.grant(ask)
  const credential = await credentialFor(world, grant.grantId)
  const point = new Point(world)
  await point.call({ credential, ...adjust('501') }) // fetches the nonce
  return {
    world,
    people,
    grant,
    credential,
    point,
    /** The amounts taken from the tree, as the PDP has folded it. */
    taken: () => world.pdp.pdp.projection.ledger.decisions.trees.get(grant.grantId)?.taken.calls ?? 0n,
    /** The event of a decision, as soon as it exists. */
    async event(decisionId: string): Promise<Seen<'decisions.v1'>> {
      return eventually(async () => (await world.events('decisions.v1')).find(({ subject }) => subject === decisionId))
    },
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  }
}
/**
 * A grant that ends soon, with a credential for it. If the machine is so late that the grant ended first, a grant with
 * twice the life.
 */
export function shortLived({ world, people }: Pick<Granted, 'world' | 'people'>, ask: Ask & { seconds: number }) {
  let { seconds } = ask
  const made = async () => {
    const grant = await people.grant({ ...ask, seconds })
    return { ...grant, credential: await credentialFor(world, grant.grantId) }
  }
  return eventually(() =>
    made().catch(() => {
      seconds *= 2
      return undefined
    }),
  )
}

export type Granted = Awaited<ReturnType<typeof granted>>
