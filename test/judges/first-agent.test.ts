import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '@bailiwick/testkit'
import { describe, expect, it } from 'vitest'
import { Reader, stepsOf } from '../consumers/reader.ts'
import { judges, lacksJudges } from './programs.ts'
import { scriptedModel, type Turn } from './scripted-model.ts'

const root = join(import.meta.dirname, '../..')
/** By `npm run nightly -- first-agent`: in a real clone, with the installations, and with the times. */
const fresh = process.env.BAILIWICK_NIGHTLY === '1'
const call = (tool: string, args: object): Turn => ({ tool, namespace: 'mcp__notes', arguments: args })
const write = () => call('write_note', { name: 'meeting-1', text: 'We begin.' })

/** A reader who has Codex, with a model: one that follows a script. */
const config = (model: string) => `model = "scripted"
model_provider = "scripted"

[model_providers.scripted]
name = "scripted"
base_url = "${model}"
wire_api = "responses"
env_key = "SCRIPTED_MODEL_KEY"

`

describe.skipIf(lacksJudges)('a reader with a clone, and with Codex CLI', () => {
  it('gets to a governed call without writing code, by the commands of the page', async () => {
    const seen: string[] = []
    const access = {
      task: 'keep-meeting-notes',
      permissions: [{ tool: 'write_note', where: { '/name': { prefix: 'meeting-' } } }],
      reason: 'The user asked for a note.',
    }
    await using model = await scriptedModel(({ output }) => {
      seen.push(output)
      if (output.includes('Written.')) return { say: 'The note is written.' }
      return output.includes('credential_missing') ? call('bailiwick_request_access', access) : write()
    })
    await using reader = new Reader({ SCRIPTED_MODEL_KEY: 'placeholder' }, { fresh })
    const home = reader.at('home')
    mkdirSync(join(home, '.codex'), { recursive: true })
    writeFileSync(join(home, '.codex/config.toml'), config(model.url))
    reader.env.HOME = home
    if (!fresh) reader.program('codex', `exec '${process.execPath}' '${judges.codex()}' "$@"`)
    const [port, gateway] = [await freePort(), await freePort()]
    const page = readFileSync(join(root, 'docs/start/first-agent-codex.md'), 'utf8')
    await reader.follow(stepsOf(page), (commands, shown) => {
      // The test runs on what the first installs, and the judges have the second.
      if (!fresh && commands.startsWith('npm ci\n')) return undefined
      const [decision = ''] = /dec_\w+/.exec(shown) ?? []
      return commands
        .replace('npx bailiwick dev', `npx bailiwick dev --port ${port}`)
        .replace('notes --wait', `notes --wait --public-url http://localhost:${gateway}`)
        .replace('serve gateway', `serve gateway --port ${gateway}`)
        .replace('localhost:8425', `localhost:${gateway}`)
        .replace('DECISION_ID', decision)
    })
    if (fresh) {
      const { all, installing } = reader.took('codex exec')
      console.log(
        `first-agent: Codex: ${all} s until the governed call of the reader’s own agent, of which installing ${installing} s (target 300 s); its model answers at once`,
      )
    }
    expect(seen.slice(0, 4)).toEqual([
      '',
      expect.stringContaining('bailiwick_request_access'),
      expect.stringContaining('Approved'),
      expect.stringContaining('Written.'),
    ])
  }, 600_000)
})
