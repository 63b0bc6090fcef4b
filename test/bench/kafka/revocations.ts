import { operatorOf } from '@bailiwick/cli'
import type { Measure } from '../measure.ts'
import { patiently } from '../patience.ts'
import type { Reach } from '../revocation-probe.ts'
import { howOf, kindByKind } from '../revocations.ts'
import type { Granted } from '../world.ts'
import type { ProcessWorld } from './processes.ts'
import type { KafkaBench } from './worlds.ts'

/** As `measureRevocations`, of processes: the operator's answer comes from the issuer, an ALLOW from either decision point. */
export async function measureKafkaRevocations(bench: KafkaBench): Promise<Measure> {
  const count = bench.count ?? (bench.quick ? 2 : 2000)
  const open = async () => {
    const world = await bench.open(bench.quick ? 1 : 3)
    const restarts = () => world.restarts
    return { reach: reachOf(world), restarts, [Symbol.asyncDispose]: () => world[Symbol.asyncDispose]() }
  }
  const about = {
    id: 'kafka-revocations',
    title: 'Kafka and Redis: from an acknowledged revocation to the last ALLOW, kind by kind',
    how: howOf(count, `over HTTP at two policy-decision instances, on ${bench.quick ? 'one broker' : 'three brokers'}`),
  }
  return await kindByKind(bench, { about, count, open, p99: 250 })
}

function reachOf(world: ProcessWorld): Reach {
  const operator = operatorOf(world.system.data)
  const urls = world.system.processes['policy-decision'].map(({ url }) => url)
  const passOn = async (granted: Granted) => ({
    ...granted,
    ...(await world.subAgents.passOn(world.system, granted.grantId)),
  })
  return {
    points: urls.length,
    passOn,
    async prey(kind) {
      const granted = await world.grant()
      return kind === 'delegation' ? passOn(granted) : { ...granted, key: undefined, delegation: undefined }
    },
    ask: ({ token, key }, point) => world.call(urls[point] as string, token, key),
    async revoke(kind, target) {
      await patiently(() => operator.post('/operator/revocations', { kind, target }))
    },
  }
}
