import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { repository } from '../infra/compose-file.ts'
import { startEngine } from './engine.ts'
import { onlyEngine } from './only-engine.ts'

// `npm run nightly -- parts-in-containers`: the suites that need Kafka and Redis, on a machine that has them only in containers.

const suites = [
  ['--project', 'e2e-kafka'],
  ['--project', 'int', 'packages/bus', 'packages/grant-store'],
]

const engine = await startEngine()
if (typeof engine === 'string') {
  console.error(`MISSING a container engine: ${engine}`)
  process.exit(1)
}
await using _ = engine
for (const suite of suites) {
  const began = Date.now()
  const vitest = spawn(process.execPath, [join(repository, 'node_modules/vitest/vitest.mjs'), 'run', ...suite], {
    cwd: repository,
    stdio: 'inherit',
    env: { ...process.env, ...onlyEngine(engine) },
  })
  const [code] = await once(vitest, 'exit')
  console.log(`in containers: ${suite.join(' ')}: exit ${code}, ${Math.round((Date.now() - began) / 1000)} s`)
  if (code !== 0) process.exitCode = 1
}
