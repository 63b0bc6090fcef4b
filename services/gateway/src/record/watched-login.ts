import { setTimeout as pause } from 'node:timers/promises'
import { systemClock } from '@bailiwick/kit'
import { openBrowserPage } from './chromium.ts'
import { innerPage } from './inner-page.ts'
import { loginFormIn } from './login-page.ts'

/** What a browser did at a login. */
export interface Watched {
  /** The names of the fields that it sent; undefined if it sent no form. */
  readonly sent: readonly string[] | undefined
  /** Where it was afterwards. */
  readonly landing: string
}

interface Sent {
  request: { method: string; url: string; postData?: string; hasPostData?: boolean; headers: Record<string, string> }
}

const settleMs = 400
const mostMs = 30_000

/**
 * Logs in with a browser, at the form that the page shows once its scripts have run. Undefined: there is no such form then either. The browser
 * gets the password through its pipe. It logs out if it finds how, and is gone with its profile afterwards.
 */
export async function watchLogin(
  program: string,
  { url, user, password, isRoot }: { url: string; user: string; password: string; isRoot: boolean },
): Promise<Watched | undefined> {
  await using page = await openBrowserPage(program, isRoot)
  const evaluate = async (expression: string): Promise<unknown> => {
    const { result } = (await page.send('Runtime.evaluate', { expression, returnByValue: true })) as {
      result?: { value?: unknown }
    }
    return result?.value
  }
  const posted: Sent['request'][] = []
  let lastAt = systemClock.monotonic()
  page.on('Network.requestWillBeSent', ({ request }: Sent) => {
    lastAt = systemClock.monotonic()
    if (request.method === 'POST') posted.push(request)
  })
  page.on('Network.loadingFinished', () => (lastAt = systemClock.monotonic()))
  const quiet = async () => {
    const end = systemClock.monotonic() + mostMs
    lastAt = systemClock.monotonic()
    while (systemClock.monotonic() < end && systemClock.monotonic() - lastAt < settleMs) await pause(50)
  }
  await page.send('Network.enable')
  await page.send('Page.enable')
  await page.send('Page.navigate', { url })
  await quiet()
  const form = loginFormIn(String(await evaluate('document.documentElement.outerHTML')))
  if ('fault' in form) return undefined
  posted.length = 0
  await evaluate(`(() => {
    const password = [...document.querySelectorAll('form input[type=password]')].find((input) => input.name === ${JSON.stringify(form.password)})
    const type = (input, text) => {
      input.focus()
      input.value = text
      for (const name of ['input', 'change']) input.dispatchEvent(new Event(name, { bubbles: true }))
    }
    type(password.form.elements.namedItem(${JSON.stringify(form.user.name)}), ${JSON.stringify(user)})
    type(password, ${JSON.stringify(password)})
    const button = password.form.querySelector('input[type=submit], button:not([type]), button[type=submit]')
    password.form.requestSubmit(button ?? undefined)
  })()`)
  await quiet()
  const landing = String(await evaluate('location.href'))
  const { logout } = innerPage(String(await evaluate('document.documentElement.outerHTML')))
  const [first] = posted
  const isForm = /^application\/x-www-form-urlencoded/i.test(first?.headers['Content-Type'] ?? '')
  const sent = isForm ? [...new URLSearchParams(first?.postData ?? '').keys()] : undefined
  if (logout !== undefined) {
    await evaluate(`(() => {
      const is = (name) => (element) => element.getAttribute(name) === ${JSON.stringify(logout.address)}
      const form = [...document.forms].find(is('action'))
      if (form !== undefined) form.requestSubmit()
      else [...document.links].find(is('href'))?.click()
    })()`)
    await quiet()
  }
  return { sent, landing }
}
