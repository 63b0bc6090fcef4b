import { jcs, sha256 } from '@bailiwick/credentials'
import { z } from 'zod'
import { address, injectedHeaders, serverId } from '../file-members.ts'
import { pinned } from '../pin/pinned.ts'

/** The path of a repository below the server's address, such as `team/app.git`. Its last segment is not a service of the protocol. */
const repositoryPath = /^[A-Za-z0-9_][A-Za-z0-9_.-]*(?:\/[A-Za-z0-9_][A-Za-z0-9_.-]*){0,7}$/
export const isRepository = (text: string): boolean =>
  text.length <= 255 && repositoryPath.test(text) && !/\.\.|\.(?:\/|$)/.test(text)

/** A git server behind the gateway, at `/git/<name>/`. */
export const gitEntry = z.strictObject({
  /** Repositories lie below it. */
  url: address.refine((url) => !url.includes('?'), 'expected a URL without a query'),
  /** Whether the name in the address may lead to private addresses, as in a cluster. An address itself may. */
  private: z.boolean().default(false),
  inject: injectedHeaders,
  /** The only repositories that are served, each with its whole path below `url`. Without it: all below `url` that a grant names. */
  repositories: z
    .array(z.string().refine(isRepository, 'expected the path of a repository, such as team/app.git'))
    .min(1)
    .max(256)
    .optional(),
  /** The most bytes of one push, and of one answer. */
  most_push_bytes: z
    .int()
    .min(1024)
    .max(4 * 1024 ** 3)
    .default(256 * 1024 ** 2),
  most_answer_bytes: z
    .int()
    .min(1024)
    .max(4 * 1024 ** 3)
    .default(1024 ** 3),
  /** The tool server's name in the registry; the name of this entry if left out. */
  server: serverId.optional(),
})
export type GitEntry = z.output<typeof gitEntry>

const domain = 'bailiwick-git-manifest-v1'

/**
 * The value of `manifest` in the registry: base64url SHA-256 of the JCS array `["bailiwick-git-manifest-v1", { url, repositories }]`. People
 * approve where the repositories are, so that a push under their grant goes nowhere else.
 */
export function gitManifest({ url, repositories }: GitEntry): string {
  return sha256(jcs([domain, { url, repositories: repositories?.toSorted() ?? null }]))
}

/** The registry's entry of a git server. The labels are a draft. */
export function gitRegistryEntry(name: string, entry: GitEntry) {
  const tools = {
    read: { labels: ['reads_private'] },
    push: { labels: ['writes'] },
    delete: { labels: ['writes', 'destructive'] },
  }
  return { id: entry.server ?? name, url: entry.url, manifest: gitManifest(entry), tools }
}

export const pinnedGit = (name: string, entry: GitEntry) =>
  pinned(
    gitRegistryEntry(name, entry),
    'The labels are a draft. Add reads_untrusted to read if strangers write to these repositories, and external_send to push if strangers read them',
  )
