// Kafka and Redis for a person: prints what to paste before `bailiwick serve`, and runs until Ctrl-C. With --check it
// ends once both were ready: it reports what is missing, and the files that are fetched once are there afterwards.
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { startKafka, startRedis } from './index.ts'

const { values } = parseArgs({
  options: {
    nodes: { type: 'string', default: '1' },
    secure: { type: 'boolean', default: false },
    users: { type: 'string', default: 'approval,issuer,policy-decision,evidence,agent' },
    dir: { type: 'string' },
    check: { type: 'boolean', default: false },
  },
})
if (values.nodes !== '1' && values.nodes !== '3') {
  console.error(
    'Usage: node infra/native/src/main.ts [--nodes 1|3] [--secure [--users NAME,…]] [--dir FOLDER] [--check]',
  )
  process.exit(2)
}
const kept = values.dir === undefined ? undefined : resolve(values.dir)
const stopped = Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])
const alive = setInterval(() => {}, 2 ** 30) // neither servers nor signal handlers keep a process going

await using redis = await startRedis({
  ...(kept ? { dir: join(kept, 'redis'), config: { appendonly: 'yes' } } : {}),
})
await using kafka = await startKafka({
  nodes: values.nodes === '3' ? 3 : 1,
  ...(values.secure ? { secure: { users: values.users.split(',') } } : {}),
  ...(kept ? { dir: join(kept, 'kafka') } : {}),
})

console.log(`export BAILIWICK_BUS=kafka://${kafka.brokers.join(',')}`)
console.log(`export BAILIWICK_GRANT_STORE=${redis.url}`)
if (kafka.nodes.length === 1) console.log('export BAILIWICK_DEV=1')
if (kafka.security) {
  console.log(`# certificate authority: ${kafka.security.caFile}`)
  for (const user of ['admin', ...values.users.split(',')])
    console.log(`# password of ${user}: ${kafka.security.passwordFile(user)}`)
}
if (!values.check) {
  console.error('Running. Ctrl-C ends Kafka and Redis.')
  await stopped
}
clearInterval(alive)
