import { actionDigest, actionText } from '@bailiwick/credentials'
import { sampleAuthority } from '@bailiwick/standalone/sample'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import { describe, expect, it } from 'vitest'
import { asking, tool } from '../e2e/asking.ts'
import { findingsOf, looks, noBrowser, seenAs } from './browser.ts'
import { atADesk } from './desk.ts'

const action = (properties: Record<string, unknown>) => ({ name: 'tools/call', properties, resource: tool('delete') })

describe.skipIf(noBrowser)('one exact action, in Chromium', () => {
  const desk = atADesk(asking)
  let seconds = 600
  const ask = async (properties: Record<string, unknown>) => {
    const permissions = [{ actions: ['tools/call'], resource: tool('delete'), max_uses: 1 }]
    const { requestId } = await sampleAgent(desk.system.host, 'forecaster').request({
      authority: { ...sampleAuthority, permissions, budget: { calls: 1 } },
      ...{ mode: 'per_action', expiresInSeconds: ++seconds, action: action(properties), purpose: 'I delete INV-1' },
    })
    return requestId
  }

  it('shows all its arguments, hostile ones included, next to the digest that is signed (V3)', async () => {
    const properties = {
      ...{ invoice: 'INV-40', amount: 1e21, precise: 0.1, none: null, list: [1, 'two', { three: true }], empty: {} },
      'a key: "approve"': 'evil\u202Egnp.exe \u200Bzero',
      html: '<img src=x onerror=alert(1)><b>INV-1</b>',
      letter: 'Dear all,\namount: 1\n\nYours',
      long: 'x'.repeat(2000),
    }
    const digest = actionDigest(action(properties))
    const requestId = await ask(properties)
    const { page } = desk.olivia
    await desk.goTo(`requests/${requestId}`)
    for (const place of [page.locator('article.request'), page.getByRole('dialog')]) {
      const exact = place.getByRole('region', { name: 'The exact action' })
      for (const text of [
        '"INV-40"',
        '1e+21',
        '0.1',
        'null',
        '"two"',
        'true',
        'empty object',
        '"a key: \\"approve\\""',
      ])
        await exact.getByText(text, { exact: true }).waitFor()
      await exact.getByText('U+202E').waitFor()
      await exact.getByText('U+200B').waitFor()
      await exact.getByText('<img src=x onerror=alert(1)><b>INV-1</b>').waitFor()
      await exact.locator('.json-text', { hasText: 'amount: 1' }).waitFor()
      expect(await exact.locator('img, b').count()).toBe(0)
      expect(await exact.getByText('x'.repeat(2000)).count()).toBe(1)
      await place.getByText(digest, { exact: true }).waitFor()
      if ((await page.getByRole('dialog').count()) === 0) {
        expect(await findingsOf(desk.olivia)).toEqual([])
        await desk.olivia.press('Approve as asked…')
      }
    }
    for (const look of looks.slice(1, 3)) {
      await seenAs(desk.olivia, look)
      expect(await findingsOf(desk.olivia)).toEqual([])
    }
    await desk.olivia.press('Sign with passkey')
    await page.getByText('Approved.', { exact: true }).waitFor()
    const { requests } = desk.system.services.policyDecision.pdp.projection.ledger.requests
    await expect
      .poll(() => requests.get(requestId)?.approved?.statement)
      .toMatchObject({ action_digest: digest, arguments: 'shown' })
  })

  it('disables Sign if the server sends arguments whose hash is not the digest (V3)', async () => {
    const requestId = await ask({ invoice: 'INV-41' })
    const { page } = desk.olivia
    const other = JSON.stringify(actionText(action({ invoice: 'INV-1' })))
    const own = JSON.stringify(actionText(action({ invoice: 'INV-41' })))
    await page.route(new RegExp(`/console/api/requests/${requestId}`), async (route) => {
      const response = await route.fetch()
      await route.fulfill({ response, body: (await response.text()).replaceAll(own, other) })
    })
    await desk.goTo(`requests/${requestId}`)
    await page.locator('article.request').getByText('The digest is not their hash.').waitFor()
    await desk.olivia.press('Approve as asked…')
    const dialog = page.getByRole('dialog')
    await dialog.getByText('This cannot be signed: the statement says that its arguments were shown').waitFor()
    expect(await dialog.getByRole('button', { name: 'Sign with passkey' }).isDisabled()).toBe(true)
    expect(await page.getByText('"INV-1"').count()).toBe(0)
    await page.unrouteAll()
  })

  it('says that the content of an opaque body cannot be shown', async () => {
    await desk.goTo(`requests/${await ask({ body_sha256: 'A'.repeat(43) })}`)
    await desk.olivia.page.getByText('Its body is not JSON, so its content cannot be shown').waitFor()
  })
})
