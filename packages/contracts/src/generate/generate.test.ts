import { spawnSync } from 'node:child_process'
import { appendFileSync, mkdtempDisposableSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { decodeEvent } from '../decode.ts'
import { topicNamed, topics } from '../topics.ts'
import { contractFiles } from './index.ts'
import type { EventVector } from './vectors.ts'

const root = fileURLToPath(new URL('../../../..', import.meta.url))

function generate(...args: string[]): { status: number | null; stderr: string } {
  const { status, stderr } = spawnSync(process.execPath, [join(root, 'scripts/generate.ts'), ...args], {
    encoding: 'utf8',
  })
  return { status, stderr }
}

it('is fresh: every generated file says what the code says', () => {
  expect(generate('--check')).toEqual({ status: 0, stderr: '' })
}, 30_000)

it('names each file that is stale, missing or left over, and mends them', () => {
  using dir = mkdtempDisposableSync(join(tmpdir(), 'bailiwick-generate-'))
  const inside = (path: string) => join(dir.path, path)
  expect(generate('--root', dir.path)).toMatchObject({ status: 0 })

  appendFileSync(inside('docs/reference/errors.md'), '\n')
  rmSync(inside('infra/kafka/acls.json'))
  writeFileSync(inside('docs/reference/events/gone.v1.md'), '')
  const { status, stderr } = generate('--root', dir.path, '--check')
  expect(status).toBe(1)
  expect(stderr.trimEnd().split('\n').sort()).toEqual([
    'Run `npm run generate`.',
    'left over: docs/reference/events/gone.v1.md',
    'stale: docs/reference/errors.md',
    'stale: infra/kafka/acls.json',
  ])

  expect(generate('--root', dir.path)).toMatchObject({ status: 0 })
  expect(generate('--root', dir.path, '--check')).toEqual({ status: 0, stderr: '' })
}, 30_000)

it('gives the same text each time, each file ending with one line break', () => {
  const files = contractFiles()
  expect([...contractFiles()]).toEqual([...files])
  for (const [path, text] of files) expect([path, /[^\n]\n$/.test(text)]).toEqual([path, true])
})

it('documents every topic and every event type', () => {
  for (const topic of topics) {
    const page = readFileSync(join(root, 'docs/reference/events', `${topic.name}.md`), 'utf8')
    for (const type of Object.keys(topic.events)) expect(page).toContain(`| \`${type}\` |`)
  }
})

it('leads every link of the documents somewhere', () => {
  const folder = join(root, 'docs/reference/events')
  for (const name of readdirSync(folder)) {
    for (const [, path = '', anchor] of readFileSync(join(folder, name), 'utf8').matchAll(
      /\]\(([^)#]+)(?:#([^)]+))?\)/g,
    )) {
      const text = readFileSync(join(folder, path), 'utf8')
      if (anchor !== undefined) expect(text).toContain(`\n### ${anchor}\n`)
    }
  }
})

it.each(topics.map(({ name }) => name))('gives vectors of %s that a reader of files can follow', (name) => {
  const vectors: EventVector[] = JSON.parse(readFileSync(join(root, 'test/vectors/events', `${name}.json`), 'utf8'))
  expect(vectors.filter(({ wantErr }) => wantErr === null)).not.toHaveLength(0)
  expect(vectors.filter(({ wantErr }) => wantErr !== null)).not.toHaveLength(0)
  const topic = topicNamed(name)
  for (const { desc, topic: on, event, event_base64, wantErr } of vectors) {
    const bytes = event === undefined ? Uint8Array.fromBase64(event_base64 ?? '') : new TextEncoder().encode(event)
    const decoded = topic && decodeEvent(topic, bytes)
    expect({ desc, on, err: decoded?.ok ? null : decoded?.code }).toEqual({ desc, on: name, err: wantErr })
  }
})
