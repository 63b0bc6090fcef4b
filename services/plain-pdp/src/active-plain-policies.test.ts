import { mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { ActivePlainPolicies } from './active-plain-policies.ts'

const request = { subject: { type: 'U', id: 'u' }, action: { name: 'a' }, resource: { type: 'R', id: 'r' } }

it('a set that is held answers as it did, however often the directory is loaded again (V13)', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'bailiwick-plain-'))
  const put = (effect: string, n: number) =>
    writeFileSync(join(folder.path, 'a.cedar'), `@id("${n}") ${effect} (principal, action, resource);`)
  put('permit', 0)
  const active = new ActivePlainPolicies(folder.path, 'active-plain-policies.test', { permitsNothing: true })
  const before = active.hold()
  const again = active.hold()
  const said = (policies = active.current()) => policies.evaluate(request)
  for (let n = 1; n < 7; n++) {
    put('forbid', n)
    await active.reload()
    expect(said()).toEqual({ outcome: 'deny', policies: [String(n)] })
    expect(said(before.policies)).toEqual({ outcome: 'allow', policies: ['0'] })
    if (n === 3) again.release()
  }
  before.release()
  // The next set takes this one's slot: a set that is not held is not kept.
  await active.reload()
  await active.reload()
  expect(said(before.policies)).toEqual({ outcome: 'invalid' })
  put('permit', 9)
  await active.reload()
  expect(said()).toEqual({ outcome: 'allow', policies: ['9'] })
})

it('answers questions while it reads a large directory, and a reload asked for meanwhile reads the files anew (V18)', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'bailiwick-plain-'))
  const put = (id: string) =>
    writeFileSync(
      join(folder.path, 'a.cedar'),
      `// ${'x'.repeat(40_000)}\n@id("${id}") forbid (principal, action, resource);`,
    )
  put('0')
  const active = new ActivePlainPolicies(folder.path, 'active-plain-policies.test large', { permitsNothing: true })
  const said = () => active.current().evaluate(request)
  put('1')
  const first = active.reload()
  // No other task runs between these, so a set that is loaded by then was read in one blocking step.
  for (let n = 0; n < 100; n++) await undefined
  expect(said()).toEqual({ outcome: 'deny', policies: ['0'] })
  put('2')
  const more = Array.from({ length: 100 }, () => active.reload())
  const [hash, ...hashes] = await Promise.all([first, ...more])
  expect(new Set(hashes)).toEqual(new Set([active.current().hash]))
  expect(hash).not.toBe(active.current().hash)
  expect(said()).toEqual({ outcome: 'deny', policies: ['2'] })
})
