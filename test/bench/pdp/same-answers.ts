import { Load, postOf } from './load.ts'
import { folderRequest } from './policy-files.ts'
import type { Server } from './server.ts'

const asked = 2000

/** Two programs that are measured beside each other must do the same work. Throws for the first request that they answer differently. */
export async function sameAnswers(one: Server, other: Server): Promise<void> {
  using loads = new DisposableStack()
  const [ours, theirs] = [loads.use(await Load.open(one.url, 1)), loads.use(await Load.open(other.url, 1))]
  const seen = { true: 0, false: 0 }
  for (let n = 0; n < asked; n++) {
    const request = varied(n)
    const post = () => postOf('/access/v1/evaluation', JSON.stringify(request))
    const [{ body: a }, { body: b }] = await Promise.all([ours.ask(post()), theirs.ask(post())])
    const [decision, expected] = [JSON.parse(a).decision, JSON.parse(b).decision]
    if (decision !== expected) throw new Error(`${a} and ${b} to ${JSON.stringify(request)}`)
    seen[decision === true ? 'true' : 'false']++
  }
  if (Math.min(seen.true, seen.false) < asked / 20) throw new Error(`nearly all answers alike: ${JSON.stringify(seen)}`)
}

/** Requests that are allowed and denied, for each of the policies' reasons. */
function varied(n: number) {
  const request = folderRequest(n)
  const action = { name: ['view', 'edit', 'share', 'delete'][n % 4] }
  const subject = n % 3 === 0 ? request.subject : { type: 'User', id: `u${(n * 13) % 200}` }
  return { ...request, subject, action, context: { hour: n % 24, mfa: n % 5 === 0, ticket: -(n % 2000) } }
}
