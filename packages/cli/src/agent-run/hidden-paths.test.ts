import { mkdirSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { temporaryFolder } from '../io.fixture.ts'
import { type HiddenOptions, hiddenPaths } from './hidden-paths.ts'

it('hides the key, an installation, and the usual places of credentials that there are', () => {
  using folder = temporaryFolder()
  for (const path of ['home/.ssh', 'home/.aws', 'data/sample', 'work']) mkdirSync(folder.at(path), { recursive: true })
  for (const path of ['home/.npmrc', 'data/trust.json', 'data/sample/a.json', 'work/key.json', 'work/more.txt'])
    writeFileSync(folder.at(path), 'x')
  const env = { HOME: folder.at('home') }
  const at = { env, cwd: folder.at('work'), uid: 123_456 }
  const hidden = (given: HiddenOptions) =>
    hiddenPaths(given, at)
      .filter((path) => path.startsWith(folder.path))
      .toSorted()
  const options = { key: 'key.json', data: folder.at('nothing'), hide: [], show: [] }
  const usual = ['home/.aws', 'home/.npmrc', 'home/.ssh'].map((path) => folder.at(path))
  expect(hidden(options)).toEqual([...usual, folder.at('work/key.json')])
  const shown = { ...options, show: [folder.at('home/.npmrc')], hide: ['more.txt'] }
  expect(hidden(shown)).toEqual(
    [folder.at('home/.aws'), folder.at('home/.ssh'), folder.at('work/key.json'), folder.at('work/more.txt')].toSorted(),
  )
  // The folder that holds the key is hidden whole: the keys of other agents are beside it.
  const ofData = { ...options, key: folder.at('data/sample/a.json'), data: folder.at('data') }
  expect(hidden(ofData)).toEqual([folder.at('data'), ...usual].toSorted())
})
