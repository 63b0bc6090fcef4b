import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RunPlace } from '../abuse/agent-run.ts'
import { missingPrograms, pythonWithPackages } from '../consumers/programs.ts'
import { ModelsWorld } from '../e2e/models-world.ts'
import { installed, lacksJudges } from './programs.ts'

const lacksPython =
  process.env.CI !== 'true' &&
  (process.env.BAILIWICK_PYTHON_JUDGES === undefined || missingPrograms().some((each) => each.startsWith('python3')))

/* The SDKs of providers under `agent run`: by the address in their environment, and by the provider's own address, through the proxy. */

let world: ModelsWorld
beforeAll(async () => {
  world = await ModelsWorld.open()
})
afterAll(() => world?.[Symbol.asyncDispose]())

async function ran(command: (place: RunPlace) => readonly string[]) {
  using place = new RunPlace({ url: world.urls[0] ?? '', system: world.system })
  const { grantId } = await world.granted()
  const reach = ['--openai', 'acme=https://api.openai.com', '--anthropic', 'claudish=https://api.anthropic.com']
  const { said, ended } = place.start(['--grant', grantId, ...reach], command(place))
  const code = await ended
  expect(code, `${said.out}\n${said.err}`).toBe(0)
  // The provider's key is the gateway's alone.
  for (const { headers } of world.provider.calls) expect(JSON.stringify(headers)).not.toContain('placeholder')
  return JSON.parse(said.out)
}

const seen = {
  openai: ['Hello world', 'Hello world'],
  anthropic: ['Hello world', 'Hello world'],
  elsewhere: expect.stringMatching(/refused|403|tunnel|proxy|cancelled/i),
}

describe.skipIf(lacksJudges)('for Node.js', () => {
  it('reach models under the task, and nothing else', async () => {
    const script = `
const { default: OpenAI } = await import(${JSON.stringify(installed('openai', 'index.mjs'))})
const { default: Anthropic } = await import(${JSON.stringify(installed('@anthropic-ai/sdk', 'index.mjs'))})
const messages = [{ role: 'user', content: 'Hi' }]
const seen = { openai: [], anthropic: [] }
for (const own of [false, true]) {
  if (own) for (const name of ['OPENAI_BASE_URL', 'ANTHROPIC_BASE_URL']) delete process.env[name]
  const said = await new OpenAI({ maxRetries: 5 }).chat.completions.create({ model: 'small', messages, max_completion_tokens: 50 })
  seen.openai.push(said.choices[0].message.content)
  const told = await new Anthropic({ maxRetries: 5 }).messages.create({ model: 'small', messages, max_tokens: 50 })
  seen.anthropic.push(told.content[0].text)
}
seen.elsewhere = await fetch('https://api.mistral.example/v1/models').then((r) => String(r.status), (error) => String(error.cause?.message ?? error))
console.log(JSON.stringify(seen))`
    expect(await ran((place) => [process.execPath, place.write('sdk.mjs', script)])).toEqual(seen)
  })
})

describe.skipIf(lacksPython)('for Python', () => {
  it('reach models under the task, and nothing else', { timeout: 600_000 }, async () => {
    const python = await pythonWithPackages(join(import.meta.dirname, 'python'))
    const script = `
import json, os
import anthropic, httpx, openai
messages = [{"role": "user", "content": "Hi"}]
seen = {"openai": [], "anthropic": []}
for own in (False, True):
    if own:
        del os.environ["OPENAI_BASE_URL"], os.environ["ANTHROPIC_BASE_URL"]
    said = openai.OpenAI(max_retries=5).chat.completions.create(model="small", messages=messages, max_completion_tokens=50)
    seen["openai"].append(said.choices[0].message.content)
    told = anthropic.Anthropic(max_retries=5).messages.create(model="small", messages=messages, max_tokens=50)
    seen["anthropic"].append(told.content[0].text)
try:
    seen["elsewhere"] = str(httpx.get("https://api.mistral.example/v1/models"))
except httpx.HTTPError as error:
    seen["elsewhere"] = str(error)
print(json.dumps(seen))
`
    expect(await ran((place) => [python, place.write('sdk.py', script)])).toEqual(seen)
  })
})
