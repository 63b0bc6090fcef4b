import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { type Action, covers } from './covers.ts'
import { narrows } from './narrows.ts'
import { parseAuthority } from './parse-authority.ts'
import type { Authority } from './schema.ts'

const vectors = <V>(name: string): (V & { desc: string })[] =>
  JSON.parse(readFileSync(new URL(`../../../test/vectors/authority/${name}.json`, import.meta.url), 'utf8'))

const parsed = (input: unknown): Authority => {
  const answer = parseAuthority(input)
  return answer.ok ? answer.authority : expect.unreachable(answer.detail)
}

describe('parse', () => {
  it.each(vectors<{ input_json: string; want?: Authority; wantErr?: string }>('parse'))('$desc', (vector) => {
    const answer = parseAuthority(JSON.parse(vector.input_json))
    expect(answer.ok ? undefined : answer.code).toBe(vector.wantErr)
    expect(answer.ok ? answer.authority : undefined).toEqual(vector.want)
  })
})

describe('covers (V5)', () => {
  interface Vector {
    authority: unknown
    action: Omit<Action, 'properties'>
    properties_json: string
    want?: { index: number; cost?: { currency: string; micros: string } }[]
    wantErr?: string
  }
  it.each(vectors<Vector>('covers'))('$desc', ({ authority, action, properties_json, want, wantErr }) => {
    const answer = covers(parsed(authority), { ...action, properties: JSON.parse(properties_json) })
    expect(answer.covered ? undefined : answer.reason).toBe(wantErr)
    const permissions = want?.map(({ index, cost }) =>
      cost === undefined ? { index } : { index, cost: { ...cost, micros: BigInt(cost.micros) } },
    )
    expect(answer.covered ? answer.permissions : undefined).toEqual(permissions)
  })
})

describe('narrows (V5)', () => {
  interface Vector {
    child: unknown
    parent: unknown
    want: boolean
    wantPath?: string
  }
  it.each(vectors<Vector>('narrows'))('$desc', ({ child, parent, want, wantPath }) => {
    const answer = narrows(parsed(child), parsed(parent))
    expect(answer.narrower).toBe(want)
    expect(answer.narrower ? undefined : answer.path).toBe(wantPath)
  })
})
