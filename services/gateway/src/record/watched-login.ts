import { setTimeout as pause } from 'node:timers/promises'
import { ServiceError } from '@bailiwick/errors'
import { systemClock } from '@bailiwick/kit'
import { openBrowserPage } from './chromium.ts'
import { innerPage } from './inner-page.ts'
import { loginFormIn } from './login-page.ts'

/** The form that a browser sent at a login, and the page where it arrived. */
export interface Watched {
  /** The names of the fields that it sent; undefined if it sent no form. */
  readonly sent: readonly string[] | undefined
  /** Where it was afterwards. */
  readonly landing: string
}

interface Sent {
  requestId: string
  type?: string
  request: { method: string; url: string; postData?: string; hasPostData?: boolean; headers: Record<string, string> }
}

const toElsewhere = () =>
  new ServiceError('session_login_failed', 'a browser would send the login form to another origin')

/** How long a page may take until it asks for something, how long it must be silent to count as loaded, and the most that this may take. */
const [beginMs, settleMs, mostMs] = [5000, 400, 30_000]

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
  const waiting = new Set<string>()
  let begun = 0
  let lastAt = systemClock.monotonic()
  const noted = () => {
    lastAt = systemClock.monotonic()
  }
  page.on('Network.requestWillBeSent', ({ requestId, type, request }: Sent) => {
    begun++
    if (type !== 'EventSource') waiting.add(requestId)
    if (request.method === 'POST') posted.push(request)
    noted()
  })
  const over = ({ requestId }: Sent) => {
    waiting.delete(requestId)
    noted()
  }
  page.on('Network.loadingFinished', over)
  page.on('Network.loadingFailed', over)
  const until = async (ms: number, isDone: () => boolean) => {
    for (const end = systemClock.monotonic() + ms; systemClock.monotonic() < end && !isDone(); ) await pause(50)
  }
  /** Acts, and waits for the requests that follow. On a busy machine, the first of them may come late. */
  const settled = async (act: () => Promise<unknown>) => {
    const before = begun
    await act()
    await until(beginMs, () => begun > before)
    await until(mostMs, () => waiting.size === 0 && systemClock.monotonic() - lastAt > settleMs)
  }
  await page.send('Network.enable')
  await page.send('Page.enable')
  await settled(() => page.send('Page.navigate', { url }))
  const form = loginFormIn(String(await evaluate('document.documentElement.outerHTML')))
  if ('fault' in form) return undefined
  // A script may have changed where the form goes, and a redirect where the browser is.
  const { origin } = new URL(url)
  const places = await evaluate(
    `[...document.querySelectorAll('form input[type=password]')].flatMap((input) => [location.href, input.form.action])`,
  )
  if ((places as string[]).some((place) => new URL(place).origin !== origin)) throw toElsewhere()
  posted.length = 0
  let typed: unknown
  await settled(async () => {
    // A script may lead elsewhere at any moment, so the expression that types looks once more.
    typed = await evaluate(`(() => {
    const password = [...document.querySelectorAll('form input[type=password]')].find((input) => input.name === ${JSON.stringify(form.password)})
    const type = (input, text) => {
      input.focus()
      input.value = text
      for (const name of ['input', 'change']) input.dispatchEvent(new Event(name, { bubbles: true }))
    }
    const button = password.form.querySelector('input[type=submit], button:not([type]), button[type=submit]')
    const to = button?.hasAttribute('formaction') ? button.formAction : password.form.action
    if (location.origin !== ${JSON.stringify(origin)} || new URL(to).origin !== location.origin) return 'elsewhere'
    type(password.form.elements.namedItem(${JSON.stringify(form.user.name)}), ${JSON.stringify(user)})
    type(password, ${JSON.stringify(password)})
    password.form.requestSubmit(button ?? undefined)
  })()`)
  })
  if (typed === 'elsewhere') throw toElsewhere()
  const landing = String(await evaluate('location.href'))
  const { logout } = innerPage(String(await evaluate('document.documentElement.outerHTML')))
  const [first] = posted
  const isForm = /^application\/x-www-form-urlencoded/i.test(first?.headers['Content-Type'] ?? '')
  const sent = isForm ? [...new URLSearchParams(first?.postData ?? '').keys()] : undefined
  if (logout !== undefined) {
    await settled(() =>
      evaluate(`(() => {
      const is = (name) => (element) => element.getAttribute(name) === ${JSON.stringify(logout.address)}
      const form = [...document.forms].find(is('action'))
      if (form !== undefined) form.requestSubmit()
      else [...document.links].find(is('href'))?.click()
    })()`),
    )
  }
  return { sent, landing }
}
