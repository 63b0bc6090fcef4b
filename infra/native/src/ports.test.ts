import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { expect, it } from 'vitest'
import { freePorts } from './ports.ts'

it('finds different free ports, below those that systems give to outgoing connections', async () => {
  const ports = await freePorts(20)
  expect(new Set(ports).size).toBe(20)
  expect(ports.filter((port) => port < 20_000 || port >= 32_768)).toEqual([])
  await using server = createServer().listen(ports[0], '127.0.0.1')
  await once(server, 'listening')
  expect((server.address() as AddressInfo).port).toBe(ports[0])
})

it('gives no port twice, even if its owner does not listen yet, in this process or another', async () => {
  const [taken = 0] = await freePorts(1)
  // Draws that port first, and then a lower one each time.
  let next = taken
  const [here] = await freePorts(1, () => next--)
  expect(here).toBeLessThan(taken)
  const script = `
    import { freePorts } from ${JSON.stringify(new URL('./ports.ts', import.meta.url).href)}
    let next = ${taken}
    console.log(...(await freePorts(1, () => next--)))`
  const said = execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })
  expect(Number(said)).toBeGreaterThan(0)
  expect([taken, here]).not.toContain(Number(said))
})
