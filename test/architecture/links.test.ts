import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { anchorsOf, linkProblems, linksOf, namedPages, unreachable } from './links.ts'
import { filesAt } from './repository.ts'

const root = join(import.meta.dirname, '../..')
const exists = (path: string): boolean => existsSync(join(root, path))
const folders = '{docs,examples,infra,lint,packages,policies,scripts,services,test}'
const pages = filesAt(['*.md', `${folders}/**/*.md`]).filter(({ path }) => !/(^|\/)(\.|out\/)/.test(path))
/** Records of runs: pages cite some of them. */
const records = /^test\/runs\/20/
/** Tests that name pages which are not there. */
const madeUp = ['packages/contracts/src/generate/generate.test.ts', 'test/chaos/campaign.test.ts']

describe('the Markdown of this repository', () => {
  it('has no link that leads nowhere', () => {
    expect(pages.length).toBeGreaterThan(100)
    expect(linkProblems(pages, exists)).toEqual([])
  })

  it('is reachable from docs/README.md, page by page', () => {
    expect(unreachable(pages, 'docs/README.md').filter((path) => !records.test(path))).toEqual([])
  })
})

it('every page of docs/ that a source, a script or a set-up names is there', () => {
  const sources = filesAt([
    `${folders}/**/*.{ts,tsx,mjs,py,go,sh,lua,yml,yaml,service,env}`,
    'infra/grafana/*.json',
    '{Dockerfile,*.yml,*.hcl,*.ts}',
  ])
  const named = sources
    .filter(({ path }) => !path.startsWith('test/architecture/') && !madeUp.includes(path))
    .flatMap(({ path, text }) => namedPages(text).map((page) => ({ path, page })))
  expect(named.length).toBeGreaterThan(50)
  expect(named.filter(({ page }) => !exists(page))).toEqual([])
})

describe('the check of links', () => {
  const page = (text: string, path = 'docs/a/one.md') => ({ path, text })

  it('reads links and images from the page’s folder, and neither code nor other sites', () => {
    const links = '[x](../b/two.md#part) ![y](z.png "title") [q](#own) [w](https://w.example/)\n'
    const text = `${links}\`[c](c.md)\`\n\`\`\`md\n[d](d.md)\n\`\`\`\n`
    expect(linksOf(page(text)).map(({ path, anchor }) => [path, anchor])).toEqual([
      ['docs/b/two.md', 'part'],
      ['docs/a/z.png', ''],
      ['docs/a/one.md', 'own'],
    ])
  })

  it('names a file that is not there, a heading that is not there, and a way out of the repository', () => {
    const one = page('# One\n[a](two.md#yes) [b](two.md#no) [c](three.md) [d](../../../x.md)')
    const two = page('# Yes', 'docs/a/two.md')
    expect(linkProblems([one, two], (path) => path === 'docs/a/two.md')).toEqual([
      'docs/a/one.md -> two.md#no: no such heading',
      'docs/a/one.md -> three.md: no such file',
      'docs/a/one.md -> ../../../x.md: no such file',
    ])
  })

  it('makes anchors as GitHub does', () => {
    const text = '# The `bailiwick` command\n## When [it](x.md) fails…\n## Twice\n## Twice\n```sh\n# no heading\n```\n'
    expect([...anchorsOf(text)]).toEqual(['the-bailiwick-command', 'when-it-fails', 'twice', 'twice-1'])
  })

  it('names pages to which nothing leads, also those that lead to one another', () => {
    const pages = [page('[b](b.md)', 'a.md'), page('', 'b.md'), page('[d](d.md)', 'c.md'), page('[c](c.md)', 'd.md')]
    expect(unreachable(pages, 'a.md')).toEqual(['c.md', 'd.md'])
  })

  it('finds pages that a comment or a path names', () => {
    expect(namedPages("// docs/x/y.md#z\njoin('../../docs/a-b.md')")).toEqual(['docs/x/y.md', 'docs/a-b.md'])
  })
})
