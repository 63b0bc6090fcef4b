import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseVkey, type VerifierKey } from '@bailiwick/tlog'
import { expect, it } from 'vitest'
import { verifyBundleFile } from './verify-bundle.ts'

const read = (name: string) => readFileSync(join(import.meta.dirname, `../../../../test/vectors/bundles/${name}.json`))
const { vkey, root } = JSON.parse(read('keys').toString()) as { vkey: string; root: string }
const changes = JSON.parse(read('changes').toString()) as { desc: string; path: (string | number)[]; value?: unknown }[]
const verify = async (file: Uint8Array) =>
  (await verifyBundleFile(file, { log: parseVkey(vkey) as VerifierKey, root })).report

it('proves the bundle of the vectors (V3)', async () => {
  expect(await verify(read('good'))).toMatchObject({ ok: true, root_checked: true })
})

it.each(changes)('proves nothing of it with $desc (V3, V14)', async ({ path, ...change }) => {
  const bundle: unknown = JSON.parse(read('good').toString())
  const name = path.at(-1) ?? ''
  const at = path.slice(0, -1).reduce((within, step) => Object(within)[step], bundle)
  if ('value' in change) Object(at)[name] = change.value
  else if (Array.isArray(at)) at.splice(Number(name), 1)
  else delete Object(at)[name]
  expect(await verify(Buffer.from(JSON.stringify(bundle)))).toMatchObject({ ok: false })
})
