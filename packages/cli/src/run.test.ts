import { expect, it } from 'vitest'
import { bailiwick } from './io.fixture.ts'

it('shows its commands, with 0 when asked for help and 2 when it was not told what to do', async () => {
  const asked = await bailiwick(['--help'])
  expect(asked.code).toBe(0)
  expect(asked.out).toMatch(/init .*\n.*serve .*/)
  expect(await bailiwick([])).toMatchObject({ code: 2, out: '' })
  expect(await bailiwick(['--version'])).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+$/) })
})

it.each([[['bogus']], [['verify', '--bogus']], [['verify', 'too', 'many']], [['serve', 'x']]])(
  'cannot run %j, and says where help is',
  async (argv) => {
    const { code, out, err } = await bailiwick(argv)
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toContain('error: ')
    expect(err).toContain('--help')
  },
)

it.each([
  [['verify', '--log', '/nonexistent', '--vkey', '/nonexistent/\u0007\u202e\u001b[2J']],
  [['\u0007\u202e\u001b[2J']],
])('lets nothing that it repeats act on the terminal, or look like another text: %j', async (argv) => {
  const { err } = await bailiwick(argv)
  expect(err).toContain('\\u0007\\u202e\\u001b[2J')
  for (const character of ['\u0007', '\u202e', '\u001b']) expect(err).not.toContain(character)
})

it('does nothing while a setting is misspelt: the default would be in force unseen', async () => {
  const { code, out, err } = await bailiwick(['status'], { env: { BAILIWICK_DATE: '/srv/bailiwick' } })
  expect({ code, out, err }).toEqual({
    code: 2,
    out: '',
    err: 'bailiwick: BAILIWICK_DATE: there is no such setting; is BAILIWICK_DATA meant?',
  })
})
