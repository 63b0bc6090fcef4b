// npm run pack -- --out DIR [--source URL]: builds the packages that are published, checks them, and writes their tarballs into DIR.
// --source: the https address of the repository, which npm compares with the provenance (docs/contributing/releasing.md). Without it, the
// address that package.json or the remote `origin` of this checkout names.
import { mkdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { faultsOf } from './checks.ts'
import { declare, pack } from './pack.ts'
import { published } from './published.ts'
import { sourceFrom, sourceOf } from './source.ts'

const { values } = parseArgs({ options: { out: { type: 'string' }, source: { type: 'string' } } })
const source = values.source === undefined ? sourceOf(join(import.meta.dirname, '../..')) : sourceFrom(values.source)
if (values.out === undefined || source === undefined) {
  console.error('npm run pack -- --out DIR [--source https://HOST/OWNER/REPOSITORY]')
  if (values.source === undefined && source === undefined)
    console.error(
      'Give --source: neither package.json nor the remote `origin` names a public address of this repository.',
    )
  process.exit(2)
}
const out = resolve(values.out)
mkdirSync(out, { recursive: true })
console.log(`repository: ${source}`)

declare(published.filter(({ form }) => form === 'library'))
let faults = 0
for (const each of published) {
  const { folder, tarball, packed } = await pack(each, out, source)
  const found = await faultsOf(each, { folder, tarball, packed })
  faults += found.length
  const sizes = `${kB(packed.size)} packed, ${kB(packed.unpackedSize)} unpacked, ${packed.files.length} files`
  const asked = each.form === 'library' ? 'publint and attw' : 'publint'
  console.log(`${each.name} ${packed.version}: ${sizes}; ${found.length === 0 ? `${asked} clean` : 'FAULTS'}`)
  for (const fault of found) console.log(`  ${fault}`)
  if (found.length > 0) rmSync(tarball)
  rmSync(folder, { recursive: true })
}
process.exitCode = faults > 0 ? 1 : 0

function kB(bytes: number): string {
  return `${Math.ceil(bytes / 1000)} kB`
}
