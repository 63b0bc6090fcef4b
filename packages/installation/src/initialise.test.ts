import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { anchorKey, jcsHash, KeyRing, readKeyFile, verifyGenesisStatement } from '@bailiwick/credentials'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { assertGenesisWhole } from './genesis.ts'
import { initialise, keyFileNames } from './initialise.ts'
import { paths } from './paths.ts'
import { policySetOf } from './policies.ts'
import { isInitialised, readGenesis, readInstallation } from './read-installation.ts'

let data = ''
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'installation-'))
})
afterEach(() => rmSync(data, { recursive: true, force: true }))

const policies = new Map([['starter.cedar', Buffer.from('permit(principal, action, resource);')]])
const make = (changes = {}) =>
  initialise({
    data,
    publicUrl: 'http://localhost:8420',
    singleOperator: false,
    now: Date.parse('2026-11-24T12:00:00.000Z'),
    randomBytes,
    policies,
    entities: [],
    ...changes,
  })

it('leads every entity of the genesis back to the root key (V3)', () => {
  const trust = make()
  expect(readInstallation(data).trust).toEqual(trust)
  const key = anchorKey(trust, 'root')
  const { entities } = readGenesis(data)
  expect(entities.map(({ type }) => type)).toEqual([
    ...Object.keys(keyFileNames).map(() => 'service-key'),
    'policy-set',
  ])
  for (const { type, id, value, jws } of entities) {
    const verified = verifyGenesisStatement({ statement: jws, key, installation: trust.installation })
    expect(verified).toMatchObject({
      ok: true,
      value: { entity_type: type, entity_id: id, version: 1, after: jcsHash(value) },
    })
  }
})

it('commits to the genesis as a whole: an entity left out, doubled, moved or changed is not what the root signed (V3)', () => {
  const trust = make()
  const genesis = readGenesis(data)
  const { entities } = genesis
  const [first, ...rest] = entities
  if (first === undefined) return expect.fail('there is no genesis')
  expect(trust.genesis?.count).toBe(entities.length)
  expect(() => assertGenesisWhole(genesis, trust)).not.toThrow()
  const refusal = (changed: typeof entities) => {
    try {
      return assertGenesisWhole({ v: 1, entities: changed }, trust)
    } catch (error) {
      return `${error}`
    }
  }
  const [more, fewer] = [entities.length + 1, entities.length - 1]
  expect(refusal(rest)).toMatch(`genesis.json holds ${fewer} entities, trust.json signs ${entities.length}`)
  expect(refusal([...entities, first])).toMatch(`genesis.json holds ${more} entities`)
  for (const changed of [
    [...rest, first],
    [...rest, ...rest.slice(-1)],
    [...rest, { ...first, value: { ...first.value, id: 'other' } } as typeof first],
  ])
    expect(refusal(changed)).toMatch(/genesis\.json: its \d+ entities, or their order, are not what trust\.json signs/)
  // A trust.json from an earlier version has no commitment.
  const { genesis: _, ...earlier } = trust
  expect(() => assertGenesisWhole({ v: 1, entities: rest }, earlier)).not.toThrow()
})

it('certifies each service key for its own purpose and topics (V12)', () => {
  const ring = new KeyRing(make())
  const now = Date.parse('2026-11-24T13:00:00.000Z')
  for (const { type, value } of readGenesis(data).entities) {
    if (type !== 'service-key') continue
    expect(ring.certify(value.certificate, now).ok).toBe(true)
    const own = readKeyFile(paths(data).keys(value.service), keyFileNames[value.purpose as 'credential'], value.purpose)
    expect(own.kid).toBe(value.id)
  }
})

it('keeps keys and folders from all other users (V17)', () => {
  make()
  const files = readdirSync(paths(data).keys(''), { recursive: true, withFileTypes: true })
  for (const entry of files) {
    const mode = statSync(join(entry.parentPath, entry.name)).mode & 0o777
    expect(mode & 0o077, entry.name).toBe(0)
  }
})

it('keeps the log from other users of the machine, also below a folder that all may read', () => {
  chmodSync(data, 0o755)
  make()
  for (const folder of [paths(data).evidence, paths(data).log]) expect(statSync(folder).mode & 0o777).toBe(0o700)
})

it('makes an installation once, and starts over when one was cut short', () => {
  make()
  expect(() => make()).toThrowError(expect.objectContaining({ code: 'config_invalid' }))
  rmSync(paths(data).trust)
  expect(isInitialised(data)).toBe(false)
  expect(make().installation).toMatch(/^ins_/)
})

it.each(['http://127.0.0.1:8420', 'https://[::1]', 'http://bailiwick.example', 'nonsense'])(
  'refuses %s, where no passkey would work, before anything is made',
  (publicUrl) => {
    const entities = () => {
      throw new Error('asked for entities, which may write keys')
    }
    expect(() => make({ publicUrl, entities })).toThrowError(expect.objectContaining({ code: 'config_invalid' }))
    expect(readdirSync(data)).toEqual([])
  },
)

it('names a policy set by its content', () => {
  const { hash } = policySetOf(policies)
  expect(hash).not.toBe(
    policySetOf(new Map([['starter.cedar', Buffer.from('permit(principal, action, resource); ')]])).hash,
  )
  expect(hash).not.toBe(policySetOf(new Map([['other.cedar', policies.get('starter.cedar') ?? Buffer.alloc(0)]])).hash)
})
