import { guessedLabel, type ToolServer } from '@bailiwick/contracts'
import { lookAlikes } from '@bailiwick/kit'
import { isReserved, type JsonObject, usableTools } from '@bailiwick/mcp'
import { type Guess, guessLabels } from './guess-labels.ts'
import type { ReadServer } from './read-server.ts'

/** A registry entry that a person still has to check. */
export interface DraftServer {
  entry: ToolServer
  /** The tools whose labels are guesses, each with the reasons. */
  guesses: ({ tool: string } & Guess)[]
  notes: string[]
}

/**
 * The registry entry of a server as it is now. Tools keep the labels that people registered, even if their description changed: only new
 * tools get guessed ones. A tool that is gone leaves the entry, so that a later tool of the same name does not get its labels.
 */
export function draftServer(
  id: string,
  url: string,
  read: ReadServer,
  registered: ToolServer | undefined,
): DraftServer {
  const { manifest, hash } = read
  const names = Object.keys(manifest.tools)
  // JSON readers disagree on a member of this name.
  const usable = [...usableTools(names)].filter((name) => name !== '__proto__')
  const known = registered?.tools ?? {}
  const tools = new Map<string, ToolServer['tools'][string]>()
  const guesses: DraftServer['guesses'] = []
  const offered: [name: string, guess: Guess][] = [
    ...usable.map((name): [string, Guess] => [name, guessLabels(manifest.tools[name] ?? {})]),
    ...methodsOf(read),
  ]
  for (const [tool, guess] of offered) {
    const present = Object.hasOwn(known, tool) ? known[tool] : undefined
    if (present !== undefined) tools.set(tool, present)
    else {
      tools.set(tool, { labels: guess.labels, ...(guess.cost === undefined ? {} : { cost: guess.cost }) })
      guesses.push({ tool, ...guess })
    }
  }
  // Methods that people described stay: only a tool can be gone.
  for (const [tool, present] of Object.entries(known))
    if (tool.includes('/') && !tools.has(tool)) tools.set(tool, present)
  return {
    // If the server still says what it said when people described it, their entry stays as it is.
    ...(registered?.manifest === hash
      ? { entry: { ...registered, url }, guesses: [] }
      : { entry: { id, url, manifest: hash, tools: Object.fromEntries(tools) }, guesses }),
    notes: [
      ...names
        .filter((name) => !usable.includes(name))
        .map((name) => `tool ${JSON.stringify(name)} is never shown nor called: ${whyUnusable(name, names)}`),
      ...lookAlikes(usable).map((group) => `these tools look alike: ${group.join(', ')}`),
    ],
  }
}

function whyUnusable(name: string, names: readonly string[]): string {
  if (isReserved(name)) return "names that begin with bailiwick_ are the gateway's own"
  const twin = names.find((other) => other !== name && other.toLowerCase() === name.toLowerCase())
  if (twin !== undefined) return `it differs from ${JSON.stringify(twin)} only in case`
  return 'a name has 1 to 128 of the characters A-Z a-z 0-9 _ - .'
}

/** The methods besides `tools/call` that the gateway decides on, where the server has them. */
function methodsOf({ capabilities, manifest, era }: ReadServer): [string, Guess][] {
  const has = (name: string) => typeof capabilities[name] === 'object' && capabilities[name] !== null
  const method = (name: string, labels: string[], what: string): [string, Guess] => [
    name,
    { labels: [...labels, guessedLabel], why: [what] },
  ]
  const listens = Object.values(capabilities).some(
    (each) => (each as JsonObject | null)?.listChanged === true || (each as JsonObject | null)?.subscribe === true,
  )
  return [
    ...(has('resources') || Object.keys(manifest.templates).length > 0
      ? [method('resources/read', ['reads_private'], 'reads a resource of the server')]
      : []),
    ...(has('prompts') ? [method('prompts/get', [], 'reads a prompt of the server')] : []),
    ...(has('completions') ? [method('completion/complete', ['reads_private'], 'completes an argument')] : []),
    ...(listens
      ? [method(era === 'legacy' ? 'stream/open' : 'subscriptions/listen', [], 'hears of changes of the server')]
      : []),
  ]
}
