import { readFileSync } from 'node:fs'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import type { Published } from './published.ts'
import { strayFiles } from './stray-files.ts'

/** What `npm pack --json` says of a tarball. */
export interface Packed {
  readonly name: string
  readonly version: string
  readonly filename: string
  /** Bytes of the tarball, and of its files. */
  readonly size: number
  readonly unpackedSize: number
  readonly files: readonly { readonly path: string }[]
}

/** Every fault of a tarball, in words: a file that must not be in it, and what publint and attw find. */
export async function faultsOf(
  { form }: Published,
  { folder, tarball, packed }: { folder: string; tarball: string; packed: Packed },
): Promise<string[]> {
  return [
    ...strayFiles(form, packed.files),
    ...secretsIn(folder, packed),
    ...(await publintFaults(folder)),
    ...(form === 'library' ? await typeFaults(tarball) : []),
  ]
}

/** Private keys: as PEM, and as a JWK with its private member. */
const secret = /-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=\s]{40}|"d"\s*:\s*"[\w-]{40,}"/

const secretsIn = (folder: string, { files }: Packed): string[] =>
  files
    .filter(({ path }) => secret.test(readFileSync(`${folder}/${path}`, 'utf8')))
    .map(({ path }) => `${path}: holds a private key`)

async function publintFaults(folder: string): Promise<string[]> {
  const { messages, pkg } = await publint({ pkgDir: folder, strict: true, pack: false })
  return messages.map((message) => `publint: ${formatMessage(message, pkg, { color: false }) ?? message.code}`)
}

/**
 * attw, for what Node.js 20 and later resolve. The packages are ES modules alone, so a CommonJS program finds them as such (`require()` of an
 * ES module), and the resolution of Node.js 10 finds no entry but the first.
 */
async function typeFaults(tarball: string): Promise<string[]> {
  const result = await checkPackage(createPackageFromTarballData(readFileSync(tarball)))
  if (!result.types) return ['attw: there are no types']
  return result.problems
    .filter((problem) => problem.kind !== 'CJSResolvesToESM')
    .filter((problem) => !('resolutionKind' in problem && problem.resolutionKind === 'node10'))
    .map((problem) => `attw: ${JSON.stringify(problem)}`)
}
