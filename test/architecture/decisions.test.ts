import { expect, it } from 'vitest'
import { filesAt, readText } from './repository.ts'
import { decisionIndexProblems } from './rules.ts'

it('docs/decisions/README.md names every decision under its number and title, in order, and no other', () => {
  const pages = filesAt(['docs/decisions/[0-9]*.md'])
  expect(pages.length).toBeGreaterThan(50)
  expect(decisionIndexProblems(readText('docs/decisions/README.md') ?? '', pages)).toEqual([])
})
