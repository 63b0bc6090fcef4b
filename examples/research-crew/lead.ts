// The orchestrator: asks for one task, passes a part of it on to each of five scouts, and lets them search at the same time.
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { parse } from 'yaml'
import { agentIdOf, agentOf, CREW, price, resource, scouts } from './crew.ts'

interface Report {
  searches: number
  ended: string
}

const [budget = '5.00'] = process.argv.slice(2)
const lead = agentOf('lead')
const authority = {
  type: 'bailiwick_task',
  task: 'survey-energy',
  permissions: [{ actions: ['tools/call'], resource, cost: { amount: '/amount', currency: '/currency' } }],
  budget: { calls: 10_000, cost: { EUR: budget } },
  max_depth: 1,
  max_children: scouts.length,
  delegates: scouts.map(({ name }) => agentIdOf(name)),
}
const { requestId } = await lead.request({
  authority,
  mode: 'window',
  expiresInSeconds: 1800,
  purpose: 'Five scouts survey what is written about energy.',
})
const { status, grantId } = await lead.waitForDecision(requestId)
if (grantId === undefined) throw new Error(`the request was ${status}`)
console.log(`${grantId}: EUR ${budget} for all scouts together`)

const sent = await Promise.all(scouts.map(send))
// All are ready before the first may begin: it is a race.
for (const { begin } of sent) begin()
const reports = await Promise.all(sent.map(({ report }) => report))

for (const [n, { searches, ended }] of reports.entries())
  console.log(`${scouts[n]?.name} searched ${searches} times, then: ${ended}`)
const cents = reports.reduce((sum, { searches }) => sum + searches, 0) * Math.round(Number(price.amount) * 100)
console.log(`spent EUR ${(cents / 100).toFixed(2)} of EUR ${budget}`)
// A grant that a person withdrew meanwhile is over already.
await lead.complete({ grantId }).catch(() => undefined)

/** Starts a scout with its part: all that the lead may do, except pass it on. All spend one budget. */
async function send({ name, topic, command: [program, file] }: (typeof scouts)[number]) {
  const { delegation } = await lead.delegate({
    of: { grantId: grantId ?? '' },
    to: `${agentIdOf(name)}/i1`,
    key: publicKeyOf(name),
    authority: { ...authority, max_depth: 0, max_children: 0, delegates: [] },
    expiresAt: Date.now() + 900_000,
  })
  const child = spawn(program, [file, name, delegation, topic], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const next = async () => {
    const { value, done } = await lines.next()
    if (done) throw new Error(`${name} ended without a report`)
    return value
  }
  await next()
  return { begin: () => child.stdin.end('go\n'), report: next().then((line): Report => JSON.parse(line)) }
}

/** From the registry: the lead has no key but its own. */
function publicKeyOf(name: string) {
  const { agents } = parse(readFileSync(`${CREW}/registry.yaml`, 'utf8'))
  return agents.find(({ id }: { id: string }) => id === agentIdOf(name)).attestor.keys[0].jwk
}
