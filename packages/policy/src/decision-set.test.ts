import { join } from 'node:path'
import { readPolicyFiles } from '@bailiwick/installation'
import { expect, it } from 'vitest'
import { decisionSet } from './decision-set.ts'

const starter = readPolicyFiles(join(import.meta.dirname, '../../../policies'))
const withPolicy = (id: string) =>
  new Map([...starter, ['z.cedar', Buffer.from(`@id("${id}")\nforbid (principal, action, resource) when { false };`)]])

it('refuses a policy whose id no event could hold: its decisions could not be recorded (V13)', () => {
  expect(decisionSet(withPolicy('i'.repeat(256))).policies.has('i'.repeat(256))).toBe(true)
  expect(() => decisionSet(withPolicy('i'.repeat(257)))).toThrow(/z\.cedar: an id of more than 256 characters/)
})
