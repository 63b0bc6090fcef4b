import { existsSync, mkdtempDisposableSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { ServerProcess, type ServerProcessOptions } from './server-process.ts'

let marks = 0

async function start(script: string, more: Partial<ServerProcessOptions> = {}) {
  const lines: string[] = []
  const ends: string[] = []
  const server = await ServerProcess.start({
    command: [process.execPath, '-e', script],
    env: { PATH: process.env.PATH ?? '' },
    mark: `test-${process.pid}-${++marks}`,
    onLine: (line) => lines.push(Buffer.from(line).toString()),
    onEnd: ({ detail }) => ends.push(detail ?? ''),
    ...more,
  })
  return { server, lines, ends, [Symbol.asyncDispose]: () => server.kill() }
}

/** Whether a process is there; one that only waits for its parent is not. */
function lives(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2))
  } catch {
    return false
  }
}

const echo = "process.stdin.on('data', (chunk) => process.stdout.write(chunk))"

it('speaks in lines, one message each', async () => {
  await using run = await start(echo)
  run.server.send(Buffer.from('{"a":\n1,\r\n"b":"é"}'))
  run.server.send(Buffer.from('{"c":2}'))
  await expect.poll(() => run.lines).toEqual(['{"a": 1,  "b":"é"}', '{"c":2}'])
})

it('gives a server no variable of the gateway', async () => {
  process.env.SECRET_OF_THE_GATEWAY = 'canary'
  await using run = await start('console.log(Object.keys(process.env).sort().join())', {
    env: { PATH: '/bin', OWN: 'x' },
  })
  await expect.poll(() => run.lines).toEqual(['BAILIWICK_SERVER_PROCESS,OWN,PATH'])
  delete process.env.SECRET_OF_THE_GATEWAY
})

it('kills everything that a server started, wherever it went', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'bailiwick-tree-'))
  const file = (name: string) => join(folder.path, name)
  const forever = 'setInterval(() => undefined, 1000)'
  writeFileSync(file('leaf.cjs'), `require('fs').writeFileSync(process.argv[2], String(process.pid)); ${forever}`)
  const child = (name: string, detached: boolean) =>
    `require('child_process').spawn(process.execPath, [${JSON.stringify(file('leaf.cjs'))}, ${JSON.stringify(file(name))}], { detached: ${detached}, stdio: 'ignore' })`
  // One stays in the group, one leaves it, and one loses its parent too.
  const orphan = `require('child_process').spawn(process.execPath, ['-e', ${JSON.stringify(`${child('orphan', true)}.unref(); setTimeout(() => process.exit(), 300)`)}], { detached: true, stdio: 'ignore' })`
  await using run = await start(`${child('near', false)}; ${child('far', true)}; ${orphan}; ${forever}`)
  const pids = await Promise.all(
    ['near', 'far', 'orphan'].map(async (name) => {
      await expect.poll(() => existsSync(file(name)) && readFileSync(file(name), 'utf8') !== '').toBe(true)
      return Number(readFileSync(file(name), 'utf8'))
    }),
  )
  const parentOf = (pid: number) => readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ')[1]
  const [, , alone = 0] = pids
  const first = parentOf(alone)
  await expect.poll(() => parentOf(alone) !== first || first === '1').toBe(true)
  for (const pid of pids) expect(lives(pid)).toBe(true)
  await run.server.kill()
  await expect.poll(() => [run.server.pid ?? 0, ...pids].filter(lives)).toEqual([])
  expect(run.ends).toHaveLength(1)
  expect(() => run.server.send(Buffer.from('{}'))).toThrow('upstream_unreachable')
})

it('reads what a server writes to its standard error, and keeps a bounded part', async () => {
  let told = 0
  await using run = await start(`process.stderr.write('x'.repeat(1_000_000), () => console.log('done'))`, {
    onError: (text) => {
      told += text.length
    },
  })
  await expect.poll(() => run.lines).toEqual(['done'])
  await expect.poll(() => told).toBe(16_384)
})

it('ends a server that writes a message without end', async () => {
  await using run = await start(
    `const chunk = 'x'.repeat(1 << 20); (function more() { process.stdout.write(chunk, more) })()`,
  )
  await expect.poll(() => run.ends).toEqual(['the server wrote a message over the limit'])
})

it('takes no more for a server that does not read', async () => {
  await using run = await start('setInterval(() => undefined, 1000)')
  const message = Buffer.alloc(1 << 20, 'x')
  const send = () => {
    for (let n = 0; n < 64; n++) run.server.send(message)
  }
  expect(send).toThrow('upstream_busy')
})

it('says so when the command cannot be started, and when it ends by itself', async () => {
  await expect(start('', { command: ['/nowhere/server'] })).rejects.toMatchObject({ code: 'upstream_unreachable' })
  await using run = await start('process.exit(3)')
  await expect.poll(() => run.ends).toHaveLength(1)
  expect(run.server.isOver).toBe(true)
})

it('reads a server at a pace, and ends one that goes on writing what nothing waits for', async () => {
  const slow = { atOnce: 10 * 4096, eachSecond: 0 }
  const rates = { read: slow, unclaimed: slow }
  const hundred = `for (let n = 0; n < 100; n++) console.log('{}'); console.error('written')`
  let told = ''
  const onError = (text: string) => {
    told += text
  }
  await using paced = await start(`${hundred}; setInterval(() => undefined, 1000)`, { rates, onError })
  await expect.poll(() => told).toContain('written')
  await expect.poll(() => paced.lines.length).toBeGreaterThan(0)
  expect(paced.lines).toHaveLength(10)
  expect(paced.ends).toEqual([])
  const read = { atOnce: 4096, eachSecond: 1e9 }
  await using all = await start(`${hundred}; setInterval(() => undefined, 1000)`, { rates: { read, unclaimed: slow } })
  await expect.poll(() => all.lines.length).toBe(100)
  let unclaimed = 0
  await using flood = await start(`(function more() { process.stdout.write('{}\\n', more) })()`, {
    rates: { read, unclaimed: slow },
    onLine: () => {
      unclaimed++
      return false
    },
  })
  await expect.poll(() => flood.ends).toEqual(['the server wrote too much that nothing waits for'])
  expect(unclaimed).toBe(10)
})
