import { copyFileSync, existsSync, globSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const root = join(import.meta.dirname, '../..')

/** Packages of others that blocks import, and where the tests have them. */
const others: Record<string, string> = {
  '@ai-sdk/mcp': 'test/judges/node_modules/@ai-sdk/mcp',
  '@mastra/core': 'test/judges/mastra/node_modules/@mastra/core',
  '@modelcontextprotocol/client': 'test/judges/node_modules/@modelcontextprotocol/client',
  openai: 'test/judges/node_modules/openai',
}

/** How Mastra types a tool: its input follows from a schema. Only `npm run nightly -- mastra` installs it. */
const mastra = `declare module '@mastra/core/tools' {
  import type { ZodType } from 'zod'
  export function createTool<I, R>(tool: {
    id: string
    description: string
    inputSchema: ZodType<I>
    execute: (input: I, context: { abortSignal?: AbortSignal }) => Promise<R>
  }): unknown
}`

/** The `ts` blocks of a page, except lines that replace some of an earlier block: the page's reader changes them (reader.ts). */
export const codeOf = (page: string): string[] =>
  [...readFileSync(join(root, page), 'utf8').matchAll(/(replace these lines:\n\n)?^```ts\n([\s\S]*?)^```/gm)].flatMap(
    ([, replaces, code = '']) => (replaces === undefined ? [code] : []),
  )

/** Every page with programs that use the published packages. */
export const pages = [
  'README.md',
  ...['agent', 'pep', 'verify'].map((name) => `packages/${name}/README.md`),
  ...globSync('{docs,examples}/**/*.md', { cwd: root, exclude: (path) => path.endsWith('node_modules') }).toSorted(),
].filter((page) => codeOf(page).length > 0)

/**
 * Saves each block as a module in this folder, beside the names that a block takes from the program around it (snippet-names.d.mts). A package
 * of others that is not installed for the judges counts as untyped. Gives the files, each by its page and its place there.
 */
export function saveSnippets(folder: string): Map<string, string> {
  mkdirSync(join(folder, 'node_modules'), { recursive: true })
  copyFileSync(join(import.meta.dirname, 'snippet-names.d.mts'), join(folder, 'names.d.mts'))
  const untyped: string[] = []
  for (const [name, place] of Object.entries(others)) {
    const link = join(folder, 'node_modules', name)
    mkdirSync(dirname(link), { recursive: true })
    if (existsSync(join(root, place))) symlinkSync(join(root, place), link)
    else untyped.push(name === '@mastra/core' ? mastra : `declare module '${name}'`)
  }
  writeFileSync(join(folder, 'untyped.d.ts'), untyped.join('\n'))
  const saved = pages.flatMap((page) =>
    codeOf(page).map((code, n): [string, string] => {
      const file = `${page.replaceAll(/\W+/g, '-')}-${n}.mts`
      writeFileSync(join(folder, file), `${code}\nexport {}\n`)
      return [file, `${page}, block ${n + 1}`]
    }),
  )
  return new Map(saved)
}
