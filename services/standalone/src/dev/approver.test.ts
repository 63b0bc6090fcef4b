import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it } from 'vitest'
import { enrolApprover } from './approver.ts'

it('asks again while a standby answers, and accepts the answer of the first active instance', async () => {
  const codes = ['service_standby', 'service_standby', 'enrolment_closed', 'service_standby']
  let asked = 0
  await using server = createServer((_, response) => {
    response.writeHead(503, { 'content-type': 'application/problem+json' })
    response.end(JSON.stringify({ title: 'No', code: codes[asked++] }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  await expect(enrolApprover({ url, data: '/nowhere' })).rejects.toMatchObject({ code: 'enrolment_closed' })
  expect(asked).toBe(3)
})
