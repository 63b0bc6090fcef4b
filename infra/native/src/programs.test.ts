import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { findProgram, lastLines, missingPrograms, needProgram, runProgram } from './programs.ts'

const folder = mkdtempSync(join(tmpdir(), 'bailiwick-programs-'))
afterAll(() => rmSync(folder, { recursive: true }))

function install(path: string): string {
  const file = join(folder, path)
  mkdirSync(join(file, '..'), { recursive: true })
  writeFileSync(file, '#!/bin/sh\n')
  chmodSync(file, 0o755)
  return file
}

describe('a program', () => {
  it('is found in the first folder of the path that has an executable one', () => {
    const mvn = install('b/mvn')
    mkdirSync(join(folder, 'a'), { recursive: true })
    writeFileSync(join(folder, 'a/mvn'), 'not executable', { mode: 0o644 })
    expect(findProgram('mvn', { PATH: `${folder}/a:${folder}/b` })).toBe(mvn)
    expect(findProgram('mvn', { PATH: `${folder}/a` })).toBeUndefined()
  })

  it('is not sought in the working directory, which an empty entry of the path means', () => {
    expect(findProgram('java', { PATH: ':.:relative' })).toBeUndefined()
  })

  it('is the Java that JAVA_HOME names, before that of the path', () => {
    const home = install('home/bin/java')
    const other = install('c/java')
    expect(findProgram('java', { PATH: `${folder}/c`, JAVA_HOME: `${folder}/home` })).toBe(home)
    expect(findProgram('java', { PATH: `${folder}/c`, JAVA_HOME: `${folder}/gone` })).toBe(other)
  })

  it('that is missing is named with what to install', () => {
    const [java, redis, ...others] = missingPrograms(['java', 'redis-server'], { PATH: '' })
    expect(java).toMatch(/^java: Java 17 .*openjdk-17/)
    expect(redis).toMatch(/^redis-server: .*Debian: redis-server/)
    expect(others).toEqual([])
    expect(() => needProgram('openssl', { PATH: '' })).toThrow(/service_unready: openssl is missing. Install openssl/)
  })

  it('that fails gives its own output as the error', async () => {
    const failing = runProgram('/bin/sh', ['-c', 'echo said; echo why >&2; exit 3'], 5)
    await expect(failing).rejects.toMatchObject({ code: 'service_unready', detail: '/bin/sh failed: said\n\nwhy' })
  })
})

it('cuts a long log to its last lines', () => {
  expect(lastLines('1\n2\n3\n4\n', 2)).toBe('3\n4')
})
