import { readFileSync } from 'node:fs'
import { parseStrictJson } from '@bailiwick/contracts'
import { expect, it } from 'vitest'
import { type Action, actionDigest, actionText } from './canonical.ts'
import { permittedHash } from './permit.ts'
import { saltedHash } from './salted-text.ts'

interface Vector {
  desc: string
  wantErr?: string
}
type Named = Vector & Omit<Action, 'properties'> & { properties_json: string; text?: string; action_digest?: string }
type Salted = Vector & { salt: string; text: string; salted_sha256?: string }

const read = <T>(name: string): T[] =>
  JSON.parse(readFileSync(new URL(`../../../test/vectors/${name}.json`, import.meta.url), 'utf8'))
const actions = read<Named>('action-digest')
const salted = read<Salted>('salted-hash')

it.each(actions)('names an action as the vector does: $desc (V1)', (vector) => {
  const { name, resource, properties_json } = vector
  const properties = () => parseStrictJson(properties_json) as Action['properties']
  if (vector.wantErr !== undefined) {
    expect(properties).toThrow(expect.objectContaining({ code: vector.wantErr }))
    return
  }
  const action = { name, resource, properties: properties() }
  expect(actionText(action)).toBe(vector.text)
  expect(actionDigest(action)).toBe(vector.action_digest)
})

it('gives no two of these actions one name (V1)', () => {
  const texts = new Set(actions.flatMap(({ text }) => text ?? []))
  expect(texts.size).toBe(actions.filter(({ wantErr }) => wantErr === undefined).length)
  expect(new Set(actions.flatMap(({ action_digest }) => action_digest ?? [])).size).toBe(texts.size)
})

it.each(salted)('hashes under a salt as the vector does: $desc (V17)', ({ salt, text, salted_sha256 }) => {
  expect(saltedHash({ salt, text })).toBe(salted_sha256)
  // An enforcement point signs this. It must not fall back on the digest if the salt is not valid.
  const permitted = () => permittedHash({ action_digest: 'not this one', action_salt: salt }, text)
  if (salted_sha256 === undefined) expect(permitted).toThrow('a salt is not 16 bytes')
  else expect(permitted()).toBe(salted_sha256)
})
