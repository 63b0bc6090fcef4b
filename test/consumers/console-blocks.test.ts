import { expect, it } from 'vitest'
import { consoleBlocks, misfit, shapeOf } from './console-blocks.ts'

const page = `# Page
\`\`\`console
$ npx bailiwick a \\
    --b
one
…
(exit 1)
$ c > file
\`\`\`
   \`\`\`console
   $ indented
   two
   \`\`\`
\`\`\`sh
$ no
\`\`\`
`

it('reads commands, their output and their exit codes', () => {
  expect(consoleBlocks('p.md', page)).toEqual([
    {
      page: 'p.md',
      name: 'p.md: npx bailiwick a \\',
      commands: [
        { command: 'npx bailiwick a \\\n    --b', output: ['one', '…'], code: 1 },
        { command: 'c > file', output: [], code: 0 },
      ],
    },
    { page: 'p.md', name: 'p.md: indented', commands: [{ command: 'indented', output: ['two'], code: 0 }] },
  ])
})

it('compares lines without what differs from run to run, and with everything else', () => {
  const line =
    '2026-11-27T06:35:08.095Z  request  req_sV5gwKdz8MJuoo4WQkpCtE8nXrHM4vLfZbkqCiaRB6g of 106 at http://localhost:8420'
  expect(shapeOf(line)).toBe('TIME request req_ID of N at http://localhost:N')
  expect(shapeOf('root     ChJDHz15TlxuxMOkYkMAnJFAca7znBITfbS47QzmvVc=')).toBe('root HASH')
  expect(shapeOf('destructive-needs-its-own-approval (starter.cedar)')).toBe(
    'destructive-needs-its-own-approval (starter.cedar)',
  )
})

it.each([
  ['the same', ['a 1', 'b'], ['a 2', '', 'b'], undefined],
  ['a line that the page has alone', ['a', 'b'], ['a'], 'the page shows: b'],
  ['a line that the output has alone', ['a'], ['a', 'b'], 'the output goes on: b'],
  ['a line between', ['a', 'b'], ['a', 'x', 'b'], 'the page shows: b'],
  ['any lines between', ['a', '…', 'b'], ['a', 'x', 'y', 'b'], undefined],
  ['any lines below', ['a', '  …'], ['a', 'x'], undefined],
  ['any text', ['a: … (b)'], ['a: x y (b)'], undefined],
  ['other text', ['a: … (b)'], ['a: x y (c)'], 'the page shows: a: … (b)'],
  ['who may approve', ['a'], ['SINGLE OPERATOR: one person', 'a'], undefined],
])('tells %s', (_, wanted, output, problem) => {
  expect(misfit(wanted, output)).toBe(problem)
})
