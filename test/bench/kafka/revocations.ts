import { operatorOf } from '@bailiwick/cli'
import type { Measure } from '../measure.ts'
import { patiently } from '../patience.ts'
import { Preys } from '../preys.ts'
import { howOf, kindByKind, kinds, type TreeReach } from '../revocations.ts'
import type { ProcessWorld } from './processes.ts'
import type { KafkaBench } from './worlds.ts'

/** As `measureRevocations`, with processes: the operator's answer comes from the issuer, an ALLOW from either decision point. */
export async function measureKafkaRevocations(bench: KafkaBench): Promise<Measure> {
  const count = bench.count ?? (bench.quick ? 2 : 2000)
  const open = async () => {
    // On a busy machine, delegating to a thousand takes longer than a credential lives by default.
    const world = await bench.open(bench.quick ? 1 : 3, { BAILIWICK_CREDENTIAL_SECONDS: '600' })
    const restarts = () => world.restarts
    return { reach: reachOf(world), restarts, [Symbol.asyncDispose]: () => world[Symbol.asyncDispose]() }
  }
  const about = {
    id: 'kafka-revocations',
    title: 'Kafka and Redis: from an acknowledged revocation to the last ALLOW, kind by kind',
    how: howOf(`over HTTP at two policy-decision instances, on ${bench.quick ? 'one broker' : 'three brokers'}`),
    byKind: kinds,
  }
  return await kindByKind(bench, { about, count, open, p99: 250 })
}

function reachOf(world: ProcessWorld): TreeReach {
  const { system } = world
  const operator = operatorOf(system.data)
  const urls = system.processes['policy-decision'].map(({ url }) => url)
  const preys = new Preys(system, world)
  return {
    points: urls.length,
    atOnce: 4,
    ahead: 4,
    passOn: (granted) => preys.passOn(granted),
    prey: (kind, lane) => preys.make(kind, lane),
    other: () => world.grant(),
    ask: ({ token, actor }, point) => world.call(urls[point] as string, token, actor),
    async revoke(kind, target) {
      await patiently(() => operator.post('/operator/revocations', { kind, target }))
    },
  }
}
