import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { invitationAddress } from '@bailiwick/installation'
import { sample } from '@bailiwick/standalone/sample'
import type { System } from '@bailiwick/testkit'
import axe from 'axe-core'
import { type Browser, type BrowserContext, type CDPSession, chromium, type Page } from 'playwright-core'
import { expect } from 'vitest'

const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const executablePath = process.env.CHROMIUM ?? places.find((path) => existsSync(path))

/** Without a browser these tests report that they were skipped; in CI they fail. */
export const noBrowser = executablePath === undefined && process.env.CI !== 'true'

export const launch = (): Promise<Browser> =>
  chromium.launch({ executablePath: executablePath ?? '', args: ['--no-sandbox'] })

/** How long a page may take to show what it will show; a wait ends as soon as it does. */
export const patienceMs = 60_000

/** A person at a browser of their own, with a platform authenticator. */
export interface Person extends AsyncDisposable {
  page: Page
  context: BrowserContext
  /** Every request of the page to the server: its path and its body. */
  sent: string[]
  /** Errors of the page, and the output that the page or the browser wrote to the browser's console. */
  complaints: string[]
  /** Presses the button of exactly this name. */
  press(name: string): Promise<void>
  /** Whether the authenticator confirms that it is really this person (UV). */
  verified(is: boolean): Promise<void>
  cdp: CDPSession
  authenticatorId: string
}

export async function aPerson(browser: Browser, viewport = { width: 1100, height: 900 }): Promise<Person> {
  const context = await browser.newContext({ viewport })
  const page = await context.newPage()
  page.setDefaultTimeout(patienceMs)
  const sent: string[] = []
  const complaints: string[] = []
  page.on('request', (request) => sent.push(`${request.url()} ${request.postData() ?? ''}`))
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => complaints.push(message.text()))
  const cdp = await context.newCDPSession(page)
  await cdp.send('WebAuthn.enable')
  const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  })
  return {
    page,
    context,
    sent,
    complaints,
    cdp,
    authenticatorId,
    press: (name) => page.getByRole('button', { name, exact: true }).click(),
    async verified(isUserVerified) {
      await cdp.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified })
    },
    [Symbol.asyncDispose]: () => context.close(),
  }
}

/** Opens the invitation and enrols the first approver, who then sees an empty inbox. */
export async function enrolFirst({ page, press }: Person, { data }: Pick<System, 'data'>): Promise<void> {
  await page.goto(invitationAddress(data))
  await page.getByRole('heading', { name: 'Become the first approver' }).waitFor()
  await page.getByLabel('Your name').fill('Olivia Owner')
  await press('Create passkey and enrol')
  await page.getByText('No agent waits for you.').waitFor()
}

const impacts = ['minor', 'moderate', 'serious', 'critical'] as const
type Impact = (typeof impacts)[number]

/** The problems of the current page that axe-core calls so, or worse. It runs next to the page's own scripts, outside the page's policy. */
export async function seriousFindings({ page, cdp }: Person, least: Impact = 'serious'): Promise<string[]> {
  const { frameTree } = await cdp.send('Page.getFrameTree')
  const { executionContextId: contextId } = await cdp.send('Page.createIsolatedWorld', { frameId: frameTree.frame.id })
  const evaluate = async (expression: string) => {
    const { result, exceptionDetails } = await cdp.send('Runtime.evaluate', {
      expression,
      contextId,
      awaitPromise: true,
      returnByValue: true,
    })
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text)
    return result.value
  }
  await evaluate(axe.source)
  const found = (await evaluate(
    `axe.run().then(({ violations }) => violations
      .filter(({ impact }) => ${JSON.stringify(impacts.slice(impacts.indexOf(least)))}.includes(impact))
      .map(({ id, nodes }) => id + ': ' + nodes.map(({ target, failureSummary }) => target + ' ' + failureSummary).join('; ')))`,
  )) as string[]
  return found.map((each) => `${page.url()} ${each}`)
}

/** Checks that the page needs no sideways scrolling. */
export async function expectNoSidewaysScroll(page: Page): Promise<void> {
  const wide = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
  expect([page.url(), wide]).toEqual([page.url(), 0])
}

/** An approver's entry whose passkey is in this person's authenticator. */
export async function withPasskey({ cdp, authenticatorId }: Person, id: string, name = 'Bob Backup') {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { x = '', y = '' } = privateKey.export({ format: 'jwk' })
  const credentialId = randomBytes(16)
  await cdp.send('WebAuthn.addCredential', {
    authenticatorId,
    credential: {
      credentialId: credentialId.toString('base64'),
      isResidentCredential: true,
      rpId: 'localhost',
      privateKey: privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64'),
      userHandle: Buffer.from(id).toString('base64'),
      signCount: 1,
    },
  })
  // RFC 9053: an EC2 key of P-256 for ES256.
  const cose = Buffer.concat([
    Buffer.from('a5010203262001215820', 'hex'),
    Buffer.from(x, 'base64url'),
    Buffer.from('225820', 'hex'),
    Buffer.from(y, 'base64url'),
  ])
  return {
    id,
    name,
    groups: [sample.group],
    credentials: [
      {
        credential_id: credentialId.toString('base64url'),
        public_key: cose.toString('base64url'),
        sign_count: 1,
        registered_at: new Date().toISOString(),
      },
    ],
  }
}

/** The ways to see a page: by day and by night, at a desk and on a phone. */
export const looks = [
  ['light', 1280],
  ['dark', 1280],
  ['light', 390],
  ['dark', 390],
] as const
type Look = readonly [colorScheme: 'light' | 'dark', width: number]

export async function seenAs({ page }: Person, [colorScheme, width]: Look): Promise<void> {
  await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
  await page.setViewportSize({ width, height: 800 })
}

/** How often a page was photographed in one look. */
const shots = new Map<string, number>()

/** The faults of the current page: sideways scrolling, or a finding of axe-core. `SHOTS`: a folder for pictures. */
export async function findingsOf(person: Person, least?: Impact): Promise<string[]> {
  const { page } = person
  if (process.env.SHOTS) {
    const [, place = ''] = new URL(page.url()).pathname.split('/console/')
    const kind = place.startsWith('evidence/') ? 'trace' : place.replace(/\W.*$/, (rest) => (rest === '' ? '' : '-one'))
    const scheme = await page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'")
    const name = `${kind}-${scheme}-${page.viewportSize()?.width}`
    const count = (shots.get(name) ?? 0) + 1
    shots.set(name, count)
    const path = `${process.env.SHOTS}/${name}${count === 1 ? '' : `-${count}`}`
    await page.screenshot({ path: `${path}.png`, fullPage: true })
    await page.screenshot({ path: `${path}.top.png` }) // as the docs show it
  }
  await expectNoSidewaysScroll(page)
  return seriousFindings(person, least)
}
