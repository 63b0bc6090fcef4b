import { expect, it } from 'vitest'
import { enrolApprover } from './approver.ts'
import { freePort } from './running-system.ts'

it('tells a console that does not answer from one that says no', async () => {
  const url = `http://localhost:${await freePort()}`
  await expect(enrolApprover({ url, data: '/nowhere' })).rejects.toMatchObject({ code: 'service_unreachable' })
})
