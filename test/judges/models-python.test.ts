import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chatEvents, type ModelReply, plainReply } from '@bailiwick/gateway/model-fixture'
import { sample, sampleAgentId, sampleKeyFile } from '@bailiwick/standalone/sample'
import { describe, expect, it } from 'vitest'
import { missingPrograms, pythonWithPackages, run } from '../consumers/programs.ts'
import { ModelsWorld, modelsAuthority } from '../e2e/models-world.ts'

const folder = join(import.meta.dirname, 'python')
const sdk = join(import.meta.dirname, '../../clients/python/src')
const lacksPython =
  process.env.CI !== 'true' &&
  (process.env.BAILIWICK_PYTHON_JUDGES === undefined || missingPrograms().some((each) => each.startsWith('python3')))

const usage = { prompt_tokens: 10, completion_tokens: 5 }
/** A provider that stalls, leaves out its usage, lies about it, or breaks off, as the prompt says. */
const faults: Readonly<Record<string, ModelReply>> = {
  omit: { events: chatEvents(['Hello', ' world']) },
  lie: { json: { choices: [{ message: { content: 'Hello world' } }], usage: { ...usage, completion_tokens: -5 } } },
  cut: { events: [chatEvents(['Hello', ' world'], usage).join('').slice(0, -60)], last: 'break' },
  break: { json: { choices: [{ message: { content: 'Hello world' } }], usage }, last: 'break' },
  stall: { events: chatEvents(['Hello'], usage).slice(0, 1), last: 'silence' },
  'slow down': { status: 429, json: { error: { message: 'slow down', code: 'rate_limit_exceeded' } } },
}

describe.skipIf(lacksPython)('the clients of providers for Python, with the SDK of an agent for their requests', () => {
  it('are answered, read denials as their own errors, and take no part of an answer for the whole', {
    timeout: 600_000,
  }, async () => {
    const python = await pythonWithPackages(folder)
    const cache = mkdtempSync(join(tmpdir(), 'judges-python-'))
    await using world = await ModelsWorld.open()
    world.provider.answer = ({ path }, body) => {
      const [last] = ((body.messages ?? []) as { content?: unknown }[]).slice(-1)
      return faults[String(last?.content)] ?? plainReply(path, body)
    }
    const rich = await world.granted()
    const poor = await world.granted(modelsAuthority('0.0001'))
    const { trust, data } = world.system
    try {
      const { code, out, err } = await run(
        python,
        [join(folder, 'models.py'), `${world.urls[0]}/models`, rich.grantId, poor.grantId],
        {
          env: {
            ...{ PYTHONPATH: sdk, PYTHONDONTWRITEBYTECODE: '1', LITELLM_LOCAL_MODEL_COST_MAP: 'True', HOME: cache },
            ...{ BAILIWICK_URL: trust.public_url, BAILIWICK_INSTALLATION: trust.installation },
            ...{ BAILIWICK_AGENT: sampleAgentId('reconciler'), BAILIWICK_AGENT_INSTANCE: sample.instance },
            BAILIWICK_AGENT_KEY: sampleKeyFile(data, 'reconciler'),
          },
        },
      )
      expect(code, `${out}\n${err}`).toBe(0)
      const seen = JSON.parse(out.trim().split('\n').at(-1) ?? '')
      expect(seen).toEqual({
        chat: 'Hello world',
        'chat streamed': 'Hello world',
        response: 'Hello world',
        'response streamed': 'response.completed',
        vectors: [0.5, -0.25],
        models: ['acme-small'],
        'in asyncio': ['Hello world', 'Hello world'],
        message: 'Hello world',
        'message streamed': ['Hello world', 5],
        counted: 10,
        litellm: 'Hello world',
        'litellm streamed': 'Hello world',
        'a member without a rule': ['BadRequestError', 400, 'model_member_refused'],
        'an empty budget': ['PermissionDeniedError', 403, 'budget_exhausted'],
        'an empty budget, of Anthropic': ['PermissionDeniedError', 403, null],
        'no usage': 'Hello world',
        'a lie about usage': 'Hello world',
        'cut in the middle of an event': [expect.not.stringMatching(/^answered$/), null, null],
        'cut in the middle of an answer': [expect.not.stringMatching(/^answered$/), null, null],
        'a stall': [expect.stringMatching(/Timeout/), null, null],
        '429 of the provider': ['RateLimitError', 429, 'rate_limit_exceeded'],
      })
      // Eight answers with 10 tokens of input and 5 of output, one of vectors; five whose usage never came or lies: each spends its reservation.
      const calls = world.provider.calls.length
      const spent = Number(await world.spent(rich.grantId, calls))
      const settled = 10 * 0.00051 + 0.001
      expect(spent).toBeGreaterThan(settled + 5 * 0.005)
      expect(spent).toBeLessThan(settled + 5 * 0.0075)
      await expect.poll(() => world.findings(), { interval: 500 }).toEqual([])
    } finally {
      rmSync(cache, { recursive: true, force: true })
    }
  })
})
