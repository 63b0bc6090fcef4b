// scout.ts NAME DELEGATION TOPIC: searches the library under its part of the lead's task, until it is denied.
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { agentOf, LIBRARY, price, resource } from './crew.ts'

const [name = '', delegation = '', topic = ''] = process.argv.slice(2)
const scout = agentOf(name)
const grant = { delegation }
await scout.credential(grant)
console.log('ready')
await once(process.stdin, 'data')

let searches = 0
let ended = ''
for (let waits = 0; ended === ''; ) {
  const properties = { topic, page: searches + 1, ...price }
  try {
    const call = { grant, action: 'tools/call', resource, properties }
    const answer = await scout.fetch(`${LIBRARY}/search`, { method: 'POST' }, call)
    const { code = 'unknown', retry_after } = (await answer.json()) as { code?: string; retry_after?: number }
    if (answer.ok) searches++
    // The decision point is busy: it says in how many seconds the same call may succeed.
    else if (retry_after !== undefined && waits++ < 40) await sleep(retry_after * 1000)
    else ended = code
  } catch (error) {
    ended = (error as { code?: string }).code ?? String(error)
  }
}
console.log(JSON.stringify({ searches, ended }))
