import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '@bailiwick/testkit'
import { describe, expect, it } from 'vitest'
import { missingPrograms, pythonWithPackages } from './programs.ts'
import { Reader, stepsOf } from './reader.ts'
import { samplePort } from './sample-port.ts'

// From a clone to the first governed call of an agent of one's own, as the pages say it: each block of each page is done, in its order. By
// `npm run nightly -- first-agent` in a real clone, with the installations, and with the times.

const root = join(import.meta.dirname, '../..')
const sdk = join(root, 'clients/python')
const page = (name: string) => stepsOf(readFileSync(join(root, 'docs/start', name), 'utf8'))
const fresh = process.env.BAILIWICK_NIGHTLY === '1'
const missing = process.env.CI === 'true' ? [] : missingPrograms().filter((each) => each.startsWith('python3'))

/** In CI `npm ci` is what this very test runs on. The port of the page may be taken here; the names in `.env.dev` follow it. */
function asHere(port: number, install?: string) {
  return (commands: string, shown: string): string | undefined => {
    if (!fresh && commands === 'npm ci\n') return undefined
    if (!fresh && commands.includes('pip install')) return install
    const [decision = ''] = /dec_\w+/.exec(shown) ?? []
    return commands.replace('npx bailiwick dev', `npx bailiwick dev --port ${port}`).replace('DECISION_ID', decision)
  }
}

/** The times of a run at night. A busy machine is no failure, so they are said and not asserted. */
function say(what: string, reader: Reader, call: string): void {
  const { all, installing } = reader.took(call)
  console.log(
    `first-agent: ${what}: ${all} s until the governed call of the reader’s own agent, of which installing ${installing} s (target 300 s)`,
  )
}

describe('a reader with a clone', () => {
  it('guards an API in TypeScript, and calls it with an agent of their own', async () => {
    await using _turn = await samplePort()
    await using reader = new Reader({}, { fresh })
    const as = asHere(await freePort())
    await reader.follow(page('guard-an-api.md'), as)
    await reader.follow(page('first-agent.md'), as)
    expect(reader.times.length).toBeGreaterThan(7)
    if (fresh) say('TypeScript', reader, 'agent.ts')
  }, 600_000)

  it.skipIf(missing.length > 0)(
    'does the same in Python',
    async () => {
      await using _turn = await samplePort()
      const env = { PYTHONDONTWRITEBYTECODE: '1', ...(fresh ? {} : { PYTHONPATH: join(sdk, 'src') }) }
      await using reader = new Reader(env, { fresh })
      // The packages of the page are installed once for all tests of the SDK, which install the SDK itself as its wheel.
      const venv = fresh ? '' : join(await pythonWithPackages(sdk), '../..')
      await reader.follow(page('first-agent-python.md'), asHere(await freePort(), `ln -s '${venv}' .venv`))
      expect(reader.times.length).toBeGreaterThan(7)
      if (fresh) say('Python', reader, 'agent.py')
    },
    600_000,
  )

  it('finds the same programs in Python here and in the README of the SDK', () => {
    const programs = (text: string) =>
      [...text.matchAll(/^```python(?: \S+)?\n([\s\S]*?)^```/gm)].map(([, code]) => code)
    const ofPage = programs(readFileSync(join(root, 'docs/start/first-agent-python.md'), 'utf8'))
    expect(ofPage).toHaveLength(2)
    expect(programs(readFileSync(join(sdk, 'README.md'), 'utf8'))).toEqual(expect.arrayContaining(ofPage))
  })
})

describe('the steps of a page', () => {
  it('are read from its blocks, and from what it says of them', () => {
    const steps = stepsOf(
      [
        'Save this as `a.py`:\n\n```python\nprint(1)\n```\n\nRun it:\n\n```sh\npython3 a.py\n```\n\nIt prints `1`.\n\n## Next\n\nIt prints `2`.\n',
        'In `a.py`, replace these lines:\n\n```python\nprint(2)\n```\n\n```sh\nserve\n```\n\nWait for `ready`.\n',
      ].join('\n'),
    )
    expect(steps).toEqual([
      { kind: 'save', file: 'a.py', text: 'print(1)\n' },
      { kind: 'type', commands: 'python3 a.py\n', goesOn: false, shows: ['1'] },
      { kind: 'change', file: 'a.py', lines: ['print(2)'] },
      { kind: 'type', commands: 'serve\n', goesOn: true, shows: ['ready'] },
    ])
    expect(() => stepsOf('Look:\n\n```json\n{}\n```\n')).toThrow('a reader does not know')
  })

  it('fail where a command fails, or does not show what the page says', async () => {
    await using reader = new Reader()
    const failing = [{ kind: 'type', commands: 'false\ntrue\n', goesOn: false, shows: [] }] as const
    await expect(reader.follow(failing, (commands) => commands)).rejects.toThrow('exit 1')
    const ended = [{ kind: 'type', commands: 'echo almost\n', goesOn: true, shows: ['ready'] }] as const
    await expect(reader.follow(ended, (commands) => commands)).rejects.toThrow('almost')
  })
})
