import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { sample, sampleAgentId, sampleAuthority } from '@bailiwick/standalone/sample'
import { expect, it } from 'vitest'
import { holding, operatorAt } from './operator.ts'
import { Person } from './person.ts'
import { answered, eventually, Scene } from './scene.ts'

const patienceMs = 60_000

/** Asks for one action, through the topic or over HTTP, and gives a purpose. */
async function asked(scene: Scene, by: 'topic' | 'http', purpose: string): Promise<string> {
  const agent = scene.agent()
  const expiresInSeconds = by === 'http' ? 600 : 700 // a request identical to a denied one cannot be sent
  const resource = { type: 'tool', id: `${sample.toolServer}/read` }
  const action = { name: 'tools/call', properties: { invoice: `${purpose}, of which this is the action` }, resource }
  const ask = { authority: sampleAuthority, mode: 'per_action', expiresInSeconds, purpose, action } as const
  const signed = agent.signRequest(ask)
  if (by === 'http') return (await answered(() => agent.request(signed))).requestId
  const { key, bytes } = agent.accessRequestEvent(signed)
  await scene.put('access-requests.v1', key, bytes)
  return key
}

it('only the operator can erase words; they leave everything that is stored, and every proof still holds (V14, V17)', async () => {
  await using scene = await Scene.bare()
  const { data, url } = scene.system
  const owner = new Person(scene.system)
  await owner.enrol()
  const words = 'CANARY-8c'
  const cli = operatorAt(data)
  for (const by of ['http', 'topic'] as const) {
    const id = await asked(scene, by, `${words} of the agent`)
    await eventually('it is received', () => scene.ledger.requests.requests.get(id)?.state === 'pending', patienceMs)
    expect((await owner.post(`requests/${id}/deny`, { reason: `${words} of the owner` })).status).toBe(200)
    const find = async () => {
      const { out } = await cli('trace', id)
      const all = [`${words} of the agent`, `${words} of the owner`, `${words} of the agent, of which`]
      return all.every((each) => out.includes(each)) ? out : undefined
    }
    expect(await eventually('evidence has them', find, patienceMs)).toContain('steps verified')
    const receipt = await cli('events', '--type', 'request.denied')
    expect(holding(data, words).filter((file) => !/erasable|values/.test(file))).toEqual([])
    expect((await cli('prove', id, '--reveal', 'all')).out).toContain(words)
    const shown = await cli('prove', id, '--reveal', 'arguments')
    expect([shown.out.includes('of which this is the action'), shown.out.includes('of the owner')]).toEqual([
      true,
      false,
    ])
    const file = join(data, `${by}.json`)
    writeFileSync(file, shown.out.slice(shown.out.indexOf('{')))
    expect((await cli('verify', file)).code).toBe(0)
    rmSync(file)

    // A stranger finds no such path, and neither does a person who is signed in.
    const order = { reason: 'other', values: [{ attachment_id: `att_${'A'.repeat(43)}`, about: id }] }
    for (const path of ['/operator/values/erase', '/console/api/values/erase', '/v1/values/erase']) {
      expect([path, (await owner.send('POST', path, order)).status]).toEqual([path, 404])
    }
    expect((await fetch(`${url}/v1/values/${id}`)).status).toBe(404)
    expect((await cli('erase', id, '--reason', 'personal_data')).code).toBe(1) // the operator did not type the confirmation
    expect(holding(data, words)).not.toEqual([])

    // Code 1: the erasure is ordered, and evidence has not done it yet.
    const erase = () => cli('erase', id, '--reason', 'personal_data', '--yes')
    const isDone = async () => {
      const { code, out } = await erase()
      return code === 0 || out.includes('everything there is erased already')
    }
    await eventually('all are erased', isDone, patienceMs)
    expect(holding(data, words)).toEqual([])
    const { code, out } = await cli('trace', id)
    expect(code).toBe(0)
    expect(out).not.toContain(words)
    expect(out.match(/: erased \S+ by operator \(personal_data\)/g)).toHaveLength(3)
    expect((await cli('events', '--type', 'request.denied')).out).toBe(receipt.out)
    for (const argv of [['verify'], ['audit'], ['prove', id]])
      expect([argv[0], (await cli(...argv)).code]).toEqual([argv[0], 0])
    expect((await cli('prove', id, '--reveal', 'purpose')).out).toContain('value_gone')
    expect((await cli('prove', id, '--reveal', 'arguments')).out).toContain('value_gone')
  }
  // Next, the operator's own words: they never stood in an event either.
  const stopped = sampleAgentId('forecaster')
  expect((await cli('revoke', 'agent', stopped, '--reason', `${words} of the operator`)).code).toBe(0)
  const isTold = async () => (await cli('trace', stopped)).out.includes(`${words} of the operator`) || undefined
  await eventually('evidence has the operator’s', isTold, patienceMs)
  expect(holding(data, words).filter((file) => !/erasable|values/.test(file))).toEqual([])
  expect((await cli('erase', stopped, '--reason', 'secret', '--yes')).code).toBe(0)
  expect(holding(data, words)).toEqual([])
  for (const argv of [['verify'], ['audit'], ['trace', stopped]])
    expect([argv[0], (await cli(...argv)).code]).toEqual([argv[0], 0])
  expect((await scene.audited()).findings).toEqual([])
}, 300_000)
