import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const known = /^https:\/\/[\w.-]+(\/[\w.-]+)+$/

/**
 * The public https address of a repository, without `.git`, in each form in which git and npm write it. Undefined for a folder, for an address
 * without a path, and for one that holds a password: that would be published.
 */
export function sourceFrom(written: string): string | undefined {
  const address = written
    .trim()
    .replace(/^git\+/, '')
    .replace(/^(?:ssh:\/\/)?git@([\w.-]+)(?::\d+\/|[:/])/, 'https://$1/')
    .replace(/\/?$/, '')
    .replace(/\.git$/, '')
  return known.test(address) && !address.split('/').includes('..') ? address : undefined
}

/** Where the sources of this checkout are: as its package.json says, else as git says of the remote `origin`. */
export function sourceOf(root: string): string | undefined {
  const { repository } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const said = typeof repository === 'string' ? repository : repository?.url
  if (said !== undefined) return sourceFrom(said)
  const { status, stdout } = spawnSync('git', ['remote', 'get-url', 'origin'], { cwd: root, encoding: 'utf8' })
  return status === 0 ? sourceFrom(stdout) : undefined
}
