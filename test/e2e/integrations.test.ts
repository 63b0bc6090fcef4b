import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Agent, agentSchema } from '@bailiwick/contracts'
import { encodeBase64url } from '@bailiwick/credentials'
import { sample } from '@bailiwick/standalone/sample'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { People } from './people.ts'
import { askOf, askToken, aWorkload } from './workloads.ts'
import { World } from './world.ts'

// The registrations, headers and claims come from the pages. Only the signer, the time and the place of the keys differ
// from reality.

const folder = mkdtempSync(join(tmpdir(), 'integrations-'))

interface Page {
  agent: Agent
  header: { alg: string; kid: string }
  claims: Record<string, unknown>
  refused: Record<string, Record<string, unknown>>
  bundle?: { keys: Record<string, unknown>[] }
  /** The agent whose name stands in `claims`. */
  instance: string
}

function readPage(name: string, instance: string): Page {
  const text = readFileSync(join(import.meta.dirname, `../../docs/how-to/integrations/${name}.md`), 'utf8')
  const blocks = [...text.matchAll(/^```json (\w+)\n(.*?)^```$/gms)].map(([, kind, json = '']) => [
    kind,
    JSON.parse(json),
  ])
  return { ...(Object.fromEntries(blocks) as Page), instance }
}

const pages = {
  SPIRE: readPage('spire', 'one'),
  Kubernetes: readPage('kubernetes', 'reporter-7d9c5b6f88-x2x4z'),
  'GitHub Actions': readPage('github-actions', '22259804324'),
}
type Name = keyof typeof pages
const names = Object.keys(pages) as Name[]

/** Signs as a page's authority does, with a key of ours. */
class Signer {
  readonly #page: Page
  readonly #key: KeyObject
  readonly agent: Agent

  constructor(page: Page) {
    this.#page = page
    const { alg, kid } = page.header
    const pair =
      alg === 'ES256'
        ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
        : generateKeyPairSync('rsa', { modulusLength: 2048 })
    this.#key = pair.privateKey
    const jwk = pair.publicKey.export({ format: 'jwk' })
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' })
    const set = page.bundle ?? { keys: [{ use: 'sig', alg, kid }] }
    // Each key has the form that the page shows; only the token key is the signer's.
    const keys = set.keys.map((key) => ({ ...key, ...(key.use === 'x509-svid' ? other : jwk) }))
    const file = join(folder, `${kid}.json`)
    writeFileSync(file, JSON.stringify({ ...set, keys }))
    const agent = agentSchema.parse(page.agent)
    const { attestor } = agent
    const here = attestor.kind === 'oidc' ? { ...attestor, jwks: { file } } : { ...attestor, bundle: { file } }
    this.agent = agentSchema.parse({ ...agent, owner: sample.owner, attestor: here })
  }

  /** The page's token, as if it were made now for this installation. */
  token(world: World, change: Record<string, unknown> = {}): string {
    const { header, claims } = this.#page
    const all: Record<string, unknown> = { ...claims, ...change }
    const later = Math.floor(world.clock.now() / 1000) - Number(claims.iat)
    for (const time of ['iat', 'nbf', 'exp']) {
      if (all[time] === null) delete all[time]
      else if (all[time] !== undefined) all[time] = Number(all[time]) + later
    }
    // An SVID is for the issuer's own address; the others are for the registered audience.
    if (this.agent.attestor.kind === 'jwt_svid')
      all.aud = (all.aud as string[]).map((aud) => aud.replace('https://bailiwick.acme.example', world.url))
    const input = [header, all].map((part) => encodeBase64url(JSON.stringify(part))).join('.')
    const signature = sign('sha256', Buffer.from(input), { key: this.#key, dsaEncoding: 'ieee-p1363' })
    return `${input}.${encodeBase64url(signature)}`
  }
}

const signers = Object.fromEntries(names.map((name) => [name, new Signer(pages[name])])) as Record<Name, Signer>
let world: World
let people: People
beforeAll(async () => {
  const agents = names.map((name) => ({ type: 'agent' as const, value: signers[name].agent }))
  world = await World.open({ entities: (entities) => [...entities, ...agents] })
  people = await People.enrolled(world)
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
})

describe.each(names)('the page about %s', (name) => {
  const { agent, instance, refused } = pages[name]
  const pod = aWorkload(`${agent.id}/${instance}`, agent.attestor.kind)
  let grantId: string
  beforeAll(async () => {
    grantId = (await people.grant(askOf(pod))).grantId
  })

  it('shows an agent that gets a credential with the token that it shows', async () => {
    const answer = await askToken(world, pod, grantId, signers[name].token(world))
    expect(answer).toMatchObject({ status: 200, body: { token_type: 'DPoP' } })
  })

  it('lists what is refused, and each of those is refused (V12)', async () => {
    expect(Object.keys(refused).length).toBeGreaterThan(5)
    for (const [what, change] of Object.entries(refused)) {
      const answer = await askToken(world, pod, grantId, signers[name].token(world, change))
      expect([what, answer.status, answer.error]).toEqual([what, 401, 'invalid_client'])
    }
    // Tokens of another page's authority are refused too.
    for (const other of names.filter((each) => each !== name))
      expect(await askToken(world, pod, grantId, signers[other].token(world))).toMatchObject({ status: 401 })
  })
})
