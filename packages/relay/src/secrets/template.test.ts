import { expect, it } from 'vitest'
import { Secret } from './secret-port.ts'
import { fillTemplate, parseTemplate, secretsIn } from './template.ts'

const secrets = (values: Record<string, string>) => ({ read: async (name: string) => new Secret(values[name] ?? '') })

it('fills in secrets, and leaves the rest as it is', async () => {
  const template = parseTemplate('Bearer ${secret:env:A}.${secret:file:/run/b}') ?? []
  expect(secretsIn(template)).toEqual(['env:A', 'file:/run/b'])
  expect(await fillTemplate(template, secrets({ 'env:A': 'one', 'file:/run/b': 'two' }))).toEqual({
    text: 'Bearer one.two',
    values: ['one', 'two'],
  })
})

it.each([
  '$',
  '${',
  '${secret:}',
  '${secret: x}',
  '${SECRET:env:A}',
  '${secret:env:A',
  'a$b',
  'a\r\nb',
  '${secret:a${secret:b}}',
])('takes %j for no template', (text) => {
  expect(parseTemplate(text)).toBeUndefined()
})

it('refuses a secret that would end a header field', async () => {
  const template = parseTemplate('${secret:env:A}') ?? []
  await expect(fillTemplate(template, secrets({ 'env:A': 'x\r\nhost: evil' }))).rejects.toMatchObject({
    code: 'secret_unavailable',
  })
})
