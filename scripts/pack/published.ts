/** A package that others install. Its workspace says its version, its entries and what it needs; the rest is said here. */
export interface Published {
  readonly name: string
  /** The folder of its workspace. */
  readonly workspace: string
  readonly description: string
  readonly keywords: readonly string[]
  /** `engines.node`. CI runs the newest, `npm run nightly -- packages` each even version from the oldest on. */
  readonly node: string
  /**
   * `library`: one file for each entry, with its types, and the chunks that entries share. `program`: one file for each source file, at the
   * same place as in the repository, because the services find their files and each other by their own place.
   */
  readonly form: 'library' | 'program'
}

const keywords = ['ai-agents', 'authorization', 'policy', 'dpop', 'audit']

export const published: readonly Published[] = [
  {
    name: '@bailiwick/agent',
    workspace: 'packages/agent',
    description: 'The agent of Bailiwick: asks for a task, waits for a human, and signs each call',
    keywords: [...keywords, 'sdk', 'mcp'],
    node: '^20.19.0 || >=22.12.0',
    form: 'library',
  },
  {
    name: '@bailiwick/pep',
    workspace: 'packages/pep',
    description: 'An enforcement point of Bailiwick: runs a call only under a valid permit, and reports what happened',
    keywords: [...keywords, 'enforcement-point', 'fastify'],
    node: '^20.19.0 || >=22.12.0',
    form: 'library',
  },
  {
    name: '@bailiwick/verify',
    workspace: 'packages/verify',
    description:
      'Verifies the evidence of Bailiwick: logs, bundles and their meaning, from files and public keys alone',
    keywords: [...keywords, 'transparency-log', 'evidence'],
    node: '^20.19.0 || >=22.12.0',
    form: 'library',
  },
  {
    name: 'bailiwick',
    workspace: 'packages/cli',
    description:
      'Governs what AI agents may do: approvals, credentials, decisions and evidence. All services and the command',
    keywords: [...keywords, 'cli', 'mcp', 'gateway'],
    node: '>=24',
    form: 'program',
  },
]

/** The processes that the command starts, from the repository's root. */
export const processes = 'packages/cli/src/main.ts services/*/src/**/main.ts'.split(' ')

/** Files that the processes read while they run, from the repository's root. */
export const readWhileRunning = ['packages/console/dist', 'packages/grant-store/src/redis/lua', 'policies']
