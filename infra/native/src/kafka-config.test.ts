import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { serverProperties } from './kafka-config.ts'
import { KAFKA_VERSION } from './kafka-jars.ts'

const places = [1, 2, 3].map((id) => ({ id, port: 9000 + id, controllerPort: 9100 + id, dir: `/kafka/${id}` }))
const [first, , third] = places as [(typeof places)[0], (typeof places)[0], (typeof places)[0]]

function settings(properties: string): Record<string, string> {
  return Object.fromEntries(properties.split('\n').map((line) => line.split(/=(.*)/s).slice(0, 2)))
}

it('requires two of three nodes to have a record before it is acknowledged, or the only node', () => {
  expect(settings(serverProperties(third, places))).toMatchObject({
    'node.id': '3',
    'default.replication.factor': '3',
    'min.insync.replicas': '2',
    'offsets.topic.replication.factor': '3',
    'broker.session.timeout.ms': '3000',
    'broker.heartbeat.interval.ms': '600',
    'controller.quorum.voters': '1@127.0.0.1:9101,2@127.0.0.1:9102,3@127.0.0.1:9103',
  })
  expect(settings(serverProperties(first, [first]))).toMatchObject({
    'default.replication.factor': '1',
    'min.insync.replicas': '1',
    'offsets.topic.replication.factor': '1',
    'broker.session.timeout.ms': '1000',
    'broker.heartbeat.interval.ms': '200',
  })
})

it('listens only on the loopback, and creates no topic on request', () => {
  expect(settings(serverProperties(first, [first]))).toMatchObject({
    listeners: 'PLAINTEXT://127.0.0.1:9001,CONTROLLER://127.0.0.1:9101',
    'auto.create.topics.enable': 'false',
  })
})

it('encrypts both listeners of a secure node, and passes its other settings on', () => {
  const secure = settings(serverProperties(first, [first], { 'super.users': 'User:broker;User:admin' }))
  expect(secure).toMatchObject({
    listeners: 'SASL_SSL://127.0.0.1:9001,CONTROLLER://127.0.0.1:9101',
    'listener.security.protocol.map': 'SASL_SSL:SASL_SSL,CONTROLLER:SSL',
    'inter.broker.listener.name': 'SASL_SSL',
    'super.users': 'User:broker;User:admin',
  })
  expect(Object.values(secure).join()).not.toContain('PLAINTEXT')
})

it('gives side-door clients the address in front of it, and all others its own', () => {
  const sideDoor = { port: 9301, toldPort: 9401 }
  expect(settings(serverProperties({ ...first, sideDoor }, [first], {}))).toMatchObject({
    listeners: 'SASL_SSL://127.0.0.1:9001,SIDE://127.0.0.1:9301,CONTROLLER://127.0.0.1:9101',
    'advertised.listeners': 'SASL_SSL://127.0.0.1:9001,SIDE://127.0.0.1:9401',
    'listener.security.protocol.map': 'SASL_SSL:SASL_SSL,SIDE:SASL_SSL,CONTROLLER:SSL',
  })
})

it('names the version of Kafka that the pom fetches', () => {
  const pom = readFileSync(join(import.meta.dirname, '../pom.xml'), 'utf8')
  expect(pom).toContain(`<artifactId>kafka_2.13</artifactId>\n      <version>${KAFKA_VERSION}</version>`)
})
