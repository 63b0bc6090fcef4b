import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { compare, differences, judge, type Revision } from './conformance.ts'
import { startFixture } from './fixture.ts'
import { passThrough } from './pass-through.ts'
import { lacksJudges } from './programs.ts'
import { startSidecar } from './sidecar.ts'

let fixture: Awaited<ReturnType<typeof startFixture>>
const revisions: Revision[] = ['2025-11-25', '2026-07-28']

describe.skipIf(lacksJudges).each(revisions)('revision %s', (revision) => {
  beforeAll(async () => {
    fixture = await startFixture()
  })
  afterAll(() => fixture[Symbol.asyncDispose]())

  it('is met by the fixture server in each requirement, and is the same behind a proxy of bytes and a bare sidecar', async () => {
    await using proxy = await passThrough(fixture.url)
    const nothing = { grant: () => undefined, actionOf: () => undefined }
    await using sidecar = await startSidecar({ agent: { fetch }, gateway: proxy.url, ...nothing })
    const { direct, through, differences: found } = await compare(fixture.url, `${sidecar.url}/mcp`, revision)
    expect(found).toEqual({})
    expect({ exitCode: direct.exitCode, summary: direct.summary }).toMatchObject({ exitCode: 0 })
    expect(through.exitCode).toBe(0)
    expect(direct.scenarios.size).toBeGreaterThan(30)
  })

  it('is seen to differ through a proxy that loses one member which no protocol knows', async () => {
    // As long as the member, so that the length of the message stays true: JSON allows white space.
    const lost = ',"x-bailiwick-unknown":{"kept":[1,"two",null]}'
    await using proxy = await passThrough(fixture.url, (piece) => piece.replace(lost, ' '.repeat(lost.length)))
    const scenario = 'tools-call-simple-text'
    const [direct, through] = [await judge(fixture.url, revision, scenario), await judge(proxy.url, revision, scenario)]
    expect(direct.exitCode).toBe(0)
    expect(through.exitCode).toBe(0) // to the suite itself both are right
    expect(differences(direct, through)).toEqual([expect.stringContaining('x-bailiwick-unknown')])
  })
})
