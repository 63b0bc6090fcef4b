import { runCodex } from '../judges/codex.ts'
import { cli } from '../judges/installation.ts'
import { versionOf } from '../judges/programs.ts'
import { type Shown, scriptedModel, type Turn } from '../judges/scripted-model.ts'
import { PlainClient } from './mcp-client.ts'

/** A client of MCP with a model in it. The story says which tool the model calls, and learns what the model is shown. */
export interface ModelClient extends AsyncDisposable {
  /** As the story calls it, and what it is in a sentence. */
  readonly name: string
  readonly described: string
  call(tool: string, args?: object): Promise<string>
}

const codex = '@openai/codex'

/** Whether Codex CLI is there: `npm ci --ignore-scripts` in test/judges. */
export const hasCodex = (): boolean => versionOf(codex) !== undefined

/** Codex CLI, unmodified, with a model whose turns the story says. */
export async function codexClient(sidecar: readonly string[]): Promise<ModelClient> {
  await using opening = new AsyncDisposableStack()
  const turns = new Turns()
  const model = opening.use(await scriptedModel((shown) => turns.next(shown)))
  const stopped = new AbortController()
  const ended = runCodex({
    model: model.url,
    mcp: [cli, ...sidecar],
    prompt: 'Keep the notes of our meetings.',
    signal: stopped.signal,
  })
  const over = ended.then(({ code, err }) => {
    throw new Error(`Codex CLI ended early, with ${code}: ${err.slice(-500)}`)
  })
  over.catch(() => undefined)
  const owned = opening.move()
  return {
    name: 'Codex CLI',
    described: `The client is Codex CLI ${versionOf(codex)}, unmodified. Its model follows a script.`,
    call: (tool, args = {}) => Promise.race([turns.take({ tool, namespace: 'mcp__tools', arguments: args }), over]),
    async [Symbol.asyncDispose]() {
      turns.take({ say: 'Done.' }).catch(() => undefined)
      const timer = setTimeout(() => stopped.abort(), lastMs)
      await ended.catch(() => undefined)
      clearTimeout(timer)
      await owned[Symbol.asyncDispose]()
    },
  }
}

/** How long Codex may take to end by itself. */
const lastMs = 10_000

/** A plain client in place of Codex: the same calls, without a model. */
export async function plainModel(sidecar: readonly string[]): Promise<ModelClient> {
  const client = await PlainClient.open(sidecar)
  await client.tools()
  return {
    name: 'the client',
    described: 'Codex CLI is not used here. A plain MCP client makes the calls that its model would make.',
    call: (tool, args) => client.call(tool, args),
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  }
}

/** Turns of a model that are said one by one, from outside. */
class Turns {
  #asked = Promise.withResolvers<Shown>()
  #turn = Promise.withResolvers<Turn>()

  /** For the model: the next turn, once it is said. */
  next(shown: Shown): Promise<Turn> {
    this.#asked.resolve(shown)
    return this.#turn.promise
  }

  /** Says the next turn. Resolves with what the model is shown after it. */
  async take(turn: Turn): Promise<string> {
    await this.#asked.promise
    const { resolve } = this.#turn
    this.#asked = Promise.withResolvers()
    this.#turn = Promise.withResolvers()
    resolve(turn)
    return (await this.#asked.promise).output
  }
}
