import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { expect, it } from 'vitest'
import { temporaryFolder } from '../io.fixture.ts'
import { type HiddenOptions, hiddenPaths } from './hidden-paths.ts'

it('hides the key, an installation, and the usual places of credentials that there are', () => {
  using folder = temporaryFolder()
  for (const path of ['home/.ssh', 'home/.aws', 'data/sample', 'work']) mkdirSync(folder.at(path), { recursive: true })
  for (const path of ['home/.npmrc', 'data/trust.json', 'data/sample/a.json', 'work/key.json', 'work/more.txt'])
    writeFileSync(folder.at(path), 'x')
  const env = { HOME: folder.at('home') }
  const at = { env, cwd: folder.at('work'), user: { uid: 123_456 } }
  const hidden = (given: HiddenOptions) =>
    hiddenPaths(given, at)
      .filter((path) => path.startsWith(folder.path))
      .toSorted()
  const options = { key: 'key.json', data: folder.at('nothing'), hide: [], show: [], network: 'host' } as const
  const usual = ['home/.aws', 'home/.npmrc', 'home/.ssh'].map((path) => folder.at(path))
  expect(hidden(options)).toEqual([...usual, folder.at('work/key.json')])
  const shown = { ...options, show: [folder.at('home/.npmrc')], hide: ['more.txt'] }
  expect(hidden(shown)).toEqual(
    [folder.at('home/.aws'), folder.at('home/.ssh'), folder.at('work/key.json'), folder.at('work/more.txt')].toSorted(),
  )
  // The folder that holds the key is hidden whole: the keys of other agents are beside it.
  // The program's own user has a home folder too.
  mkdirSync(folder.at('other/.ssh'), { recursive: true })
  const other = hiddenPaths(options, { ...at, user: { uid: 1, home: folder.at('other') } })
  expect(other).toEqual(expect.arrayContaining([folder.at('other/.ssh'), folder.at('home/.ssh')]))
  const ofData = { ...options, key: folder.at('data/sample/a.json'), data: folder.at('data') }
  expect(hidden(ofData)).toEqual([folder.at('data'), ...usual].toSorted())
})

it('hides what variables say has credentials, and each socket that one names', async () => {
  using folder = temporaryFolder()
  mkdirSync(folder.at('docker'))
  for (const name of ['agent.json', 'one.yaml', 'two.yaml', 'plain.txt']) writeFileSync(folder.at(name), 'x')
  const server = createServer().listen(folder.at('git.sock'))
  await once(server, 'listening')
  const env = {
    KUBECONFIG: `${folder.at('one.yaml')}:${folder.at('two.yaml')}`,
    DOCKER_CONFIG: folder.at('docker'),
    AWS_CONFIG_FILE: '/dev/null',
    GNUPGHOME: '/',
    VSCODE_GIT_IPC_HANDLE: folder.at('git.sock'),
    TMUX: `${folder.at('git.sock')},17,0`,
    SOMETHING: folder.at('plain.txt'),
  }
  const options = {
    key: folder.at('agent.json'),
    data: folder.at('nothing'),
    hide: [],
    show: [folder.at('two.yaml')],
    network: 'host',
  } as const
  const hidden = hiddenPaths(options, { env, cwd: '/srv', user: { uid: 123_456 } })
  const names = ['agent.json', 'docker', 'git.sock', 'one.yaml'].map((name) => folder.at(name))
  expect(
    hidden.filter((path) => path === '/' || path === '/dev/null' || path.startsWith(folder.path)).toSorted(),
  ).toEqual(names)
  server.close()
})

it('refuses to hide what is not there: a person who mistypes a path would think that it is hidden', () => {
  using folder = temporaryFolder()
  writeFileSync(folder.at('agent.json'), 'x')
  const options = {
    key: folder.at('agent.json'),
    data: folder.at('nothing'),
    hide: ['~/notes'],
    show: [],
    network: 'host',
  } as const
  expect(() => hiddenPaths(options, { env: {}, cwd: folder.path, user: { uid: 123_456 } })).toThrow(
    '~/notes does not exist',
  )
})
