import { errorCode, errorKinds, ServiceError } from '@bailiwick/errors'
import { systemRandom } from '@bailiwick/kit'
import { openSecrets } from '@bailiwick/relay'
import { planSchema, planServer } from './plan-server.ts'

// The process of `bailiwick gateway add` and `diff`: reads a request as JSON, and writes a plan or an error as JSON. It changes nothing.

const stopping = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(signal, () => stopping.abort(new ServiceError('deadline_exceeded', `stopped by ${signal}`)))
try {
  const chunks: Buffer[] = []
  for await (const chunk of process.stdin) chunks.push(chunk)
  const request = planSchema.parse(JSON.parse(Buffer.concat(chunks).toString('utf8')))
  const { env } = process
  const adapters = { env, secrets: openSecrets({ env }), random: systemRandom, signal: stopping.signal }
  await write({ plan: await planServer(request, adapters) })
} catch (error) {
  const code = errorCode(error)
  const detail = error instanceof ServiceError ? (error.detail ?? errorKinds[code].title) : String(error)
  await write({ error: { code, detail } })
}
// A server that keeps its connection open must not keep this process alive.
process.exit()

function write(answer: object): Promise<void> {
  return new Promise((resolve) => process.stdout.write(JSON.stringify(answer), () => resolve()))
}
