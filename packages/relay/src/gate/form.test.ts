import { expect, it } from 'vitest'
import { readForm, sharesValue } from './form.ts'

const named = new Set(['issue[subject]', 'ids[]'])

it('takes a name with brackets only if the operation has it, in either spelling', () => {
  const read = (body: string) => readForm(Buffer.from(body), named)
  expect(read('issue[subject]=a&x=1')).toEqual({ fields: { 'issue[subject]': 'a', x: '1' } })
  expect(read('issue%5Bsubject%5d=a&ids[]=1')).toEqual({ fields: { 'issue[subject]': 'a', 'ids[]': '1' } })
  for (const body of [
    'issue[notes]=a',
    'issue=a[subject]&issue[subject=1',
    'issue[subject]=a&issue%5Bsubject%5D=b',
    'issue[subject]=a&Issue[Subject]=b',
    'issue[subject][x]=a',
    'issue%5bsub%6aect%5d=a',
    'issue.subject=a',
    '_method[]=DELETE',
  ])
    expect(read(body), body).toMatchObject({ refused: 'form_malformed' })
  expect(readForm(Buffer.from('issue[subject]=a'))).toMatchObject({ refused: 'form_malformed' })
})

it.each([
  ['a', 'a[b]', true],
  ['a[]', 'a[b]', true],
  ['a[b]', 'a[b][c]', true],
  ['a.b[c]', 'a_b[c]', true],
  ['a[b]', 'A[B]', true],
  ['a[b]', 'a[c]', false],
  ['a', 'ab[c]', false],
  ['a[]', 'b[]', false],
])('%s and %s lead to one value: %s', (a, b, one) => {
  expect([sharesValue(a, b), sharesValue(b, a)]).toEqual([one, one])
})
