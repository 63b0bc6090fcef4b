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
  await point.call({ credential, ...adjust('501') }) // learns the nonce
  return {
    world,
    people,
    grant,
    credential,
    point,
    /** What the tree has taken, as the PDP has folded it. */
    taken: () => world.pdp.pdp.projection.ledger.decisions.trees.get(grant.grantId)?.taken.calls ?? 0n,
    /** The event of a decision, as soon as it is there. */
    async event(decisionId: string): Promise<Seen<'decisions.v1'>> {
      return eventually(async () => (await world.events('decisions.v1')).find(({ subject }) => subject === decisionId))
    },
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  }
}
/** A grant that ends soon, and a credential of it: one that lives twice as long, where a machine is so late that it had ended before. */
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
