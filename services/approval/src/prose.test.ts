import { saltedHash, sha256 } from '@bailiwick/credentials'
import { systemRandom } from '@bailiwick/kit'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { agentOf, aWorld, type World } from './approval.fixture.ts'
import { aPerson } from './browser.fixture.ts'
import { Prose } from './prose.ts'

let world: World
beforeAll(async () => {
  world = await aWorld()
})
afterAll(() => world[Symbol.asyncDispose]())

const said = (text: string) => ({ salt: Buffer.alloc(16, text.length).toString('base64url'), text })

const erasure = (hash: string) => ({
  attachment_id: `att_${hash}`,
  about: 'req',
  by: 'operator',
  reason: 'personal_data' as const,
})

async function read(): Promise<Prose> {
  const prose = new Prose()
  const onFatal = (error: unknown) => {
    throw error
  }
  await prose.follow(world.bus, world.issuer.keyRing, { now: Date.now(), onFatal })
  await prose[Symbol.asyncDispose]()
  return prose
}

it('is hashed over exactly 16 bytes of salt', () => {
  expect(saltedHash(said('x'))).toMatch(/^[\w-]{43}$/)
  for (const salt of ['', 'AAAA', Buffer.alloc(17).toString('base64url'), `${said('x').salt}=`])
    expect(saltedHash({ salt, text: 'x' })).toBeUndefined()
})

it('is cut where it is shown, and read again after a restart', async () => {
  const person = aPerson(world)
  await person.enrol()
  const agent = agentOf(world)
  const purpose = said('ü'.repeat(501))
  const hash = saltedHash(purpose) ?? ''
  await agent.submit(agent.sign({ purpose: { salted_sha256: hash } }), { purpose })
  const { body } = await person.get('/state')
  expect(body.requests).toMatchObject([{ prose: { text: 'ü'.repeat(500), cut: true } }])
  expect((await read()).text(hash)).toBe(purpose.text)
})

it('is believed from approval alone, under its own hash, until it is erased', async () => {
  const purpose = said('written by the issuer, who has no word here')
  const hash = saltedHash(purpose) ?? ''
  const stored = { attachment_id: `att_${hash}`, about: 'req', ...purpose, salted_sha256: hash }
  await world.issuer.producer.publish('attachments.approval.v1', [
    { type: 'attachment.stored', subject: stored.attachment_id, data: stored },
  ])
  expect((await read()).text(hash)).toBeUndefined()

  const prose = await read()
  const other = said('kept, then forgotten')
  const { salted_sha256: kept } = await prose.keep(world.approval, 'req', other)
  expect((await read()).text(kept)).toBe(other.text)
  const lie = { ...stored, ...said('another text'), attachment_id: `att_${kept}`, salted_sha256: kept }
  await world.approval.publish('attachments.approval.v1', [
    { type: 'attachment.stored', subject: lie.attachment_id, key: 'lie', data: lie },
  ])
  expect((await read()).text(kept)).toBe(other.text)
  await world.issuer.producer.publish('attachments.approval.v1', [
    { type: 'attachment.erased', subject: `att_${kept}`, key: 'issuer', data: erasure(kept) },
  ])
  expect((await read()).text(kept)).toBe(other.text)
  await prose.erase(world.approval, erasure(kept))
  for (const after of [prose, await read()]) {
    expect(after.text(kept)).toBeUndefined()
    expect(after.isErased(kept)).toBe(true)
  }
  // Sending it again does not bring it back.
  expect(await prose.keep(world.approval, 'req', other)).toEqual({ salted_sha256: kept })
  expect(prose.text(kept)).toBeUndefined()
  expect((await read()).text(kept)).toBeUndefined()
})

it('is there when what refers to it counts, however often what nothing refers to is forgotten before', async () => {
  const prose = await read()
  const purpose = said('swept between the text and its request')
  const hash = saltedHash(purpose) ?? ''
  const sweep = () => prose.forgetAllBut(new Set())
  await prose.keepFor(world.approval, 'req', [purpose], async () => sweep())
  expect(prose.text(hash)).toBe(purpose.text)
  sweep()
  expect(prose.text(hash)).toBeUndefined()
  const failed = prose.keepFor(world.approval, 'req', [purpose], () => Promise.reject(new Error('not published')))
  await expect(failed).rejects.toThrow('not published')
  sweep()
  expect(prose.text(hash)).toBeUndefined()
})

it('cannot be guessed from what stands in events: the same word is another hash each time (V17)', async () => {
  const prose = await read()
  const said = async () => (await prose.keepFresh(world.approval, systemRandom, 'req', 'no')).salted_sha256
  const hashes = [await said(), await said(), await said()]
  expect(new Set(hashes).size).toBe(3)
  // Hashes that an attacker with the log and a word list would try: without a salt, with an empty one, with that of another text.
  const salts = [Buffer.alloc(0), Buffer.alloc(16), Buffer.alloc(16, 0xff)]
  for (const salt of salts) expect(hashes).not.toContain(sha256(Buffer.concat([salt, Buffer.from('no')])))
})
