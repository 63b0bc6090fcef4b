import { errorCode, ServiceError } from '@bailiwick/errors'
import { type SecretPort, splitTarget } from '@bailiwick/relay'
import { HttpSender } from '../servers/http-sender.ts'
import { Application, type LoggedIn, type Page, type Seen } from '../session/application.ts'
import { looksLikeToken } from '../session/field-names.ts'
import { Jar } from '../session/jar.ts'
import { loginFormOf } from '../session/page.ts'
import { sessionEntry } from '../session/session-entry.ts'
import type { Draft, Guess } from './draft.ts'
import { innerPage } from './inner-page.ts'
import { loginFormIn } from './login-page.ts'
import type { Watched } from './watched-login.ts'

export interface RecordOptions {
  /** The login page, or a page that leads to it. */
  url: string
  /** The name of the account. */
  user: string
  /** The reference of its password in the secret port. */
  password: string
  secrets: SecretPort
  signal: AbortSignal
  /** Logs in with a browser, at this address; undefined where there is none. */
  watch?: ((url: string) => Promise<Watched | undefined>) | undefined
}

/** A recipe, which of its members are guesses, and lines for the person who completes it. */
export interface Recorded {
  readonly draft: Draft
  readonly guesses: readonly Guess[]
  readonly notes: readonly string[]
}

const mostRedirects = 5
/** How many cookies are tried for the one that is the session. */
const mostCandidates = 8

/**
 * Logs in to an application as a person would, looks at what it shows, and drafts the recipe from that. Then it logs in once more, by the
 * recipe, and out. It uses the account twice. The password is nowhere in the result. Throws `session_login_failed`,
 * `session_mfa_required` and what the gateway throws for an application that it does not reach.
 */
export async function recordLogin(options: RecordOptions): Promise<Recorded> {
  const { url, user, password, secrets } = options
  secrets.check(password)
  await secrets.read(password)
  const { origin, pathname, search, username, password: inAddress, protocol } = new URL(url)
  if (!/^https?:$/.test(protocol) || username !== '' || inAddress !== '')
    throw new ServiceError('config_invalid', 'expected the address of a login page, without a user and a password')
  const recorder = new Recorder(origin, options)
  try {
    return await recorder.record(`${pathname}${search}`, user)
  } catch (error) {
    if (errorCode(error) !== 'upstream_address_forbidden' || recorder.isPrivate) throw error
    recorder.isPrivate = true
    return await recorder.record(`${pathname}${search}`, user)
  }
}

class Recorder {
  isPrivate = false
  readonly #origin: string
  readonly #options: RecordOptions
  readonly #guesses: Guess[] = []
  /** Where a browser was after its login. */
  #landing: string | undefined
  readonly #notes: string[] = []

  constructor(origin: string, options: RecordOptions) {
    this.#origin = origin
    this.#options = options
  }

  async record(target: string, user: string): Promise<Recorded> {
    this.#guesses.length = 0
    this.#notes.length = 0
    const { signal } = this.#options
    const draft = await this.#login(target, user)
    const at = newSession()
    const whole = await this.#with(draft, async (application) => {
      const answered = await application.submitLogin(at, signal, () => undefined)
      const first = await this.#settled(application, at, answered)
      if (application.isLogin(first.page))
        throw failed('the application shows its login page again: the password or a field may be wrong')
      if (application.asksForFactor(first.page)) throw new ServiceError('session_mfa_required')
      return this.#inside(draft, at, { application, ...first })
    })
    await this.#with(whole, async (application) => {
      await this.#prove(application)
      await application.logOut(at, signal)
    })
    return { draft: whole, guesses: [...this.#guesses], notes: [...this.#notes] }
  }

  #guess(path: readonly string[], why: string): void {
    this.#guesses.push({ path, why })
  }

  /** Runs `use` with an application of this draft. */
  async #with<T>(draft: Draft, use: (application: Application) => Promise<T>): Promise<T> {
    const { secrets } = this.#options
    const entry = sessionEntry.parse(draft)
    const sender = new HttpSender({
      ...{ url: entry.url, inject: {}, secrets, isPrivate: this.isPrivate, headMs: 30_000, keepsSession: true },
    })
    try {
      return await use(new Application(entry, sender, secrets))
    } finally {
      await sender[Symbol.asyncDispose]()
    }
  }

  /** Finds the form. What follows the login is not known yet. */
  async #login(target: string, user: string): Promise<Draft> {
    const { password } = this.#options
    const unknown = (page: string, fields: Record<string, string>): Draft => ({
      url: this.#origin,
      ...(this.isPrivate ? { private: true } : {}),
      login: { page, fields, success: { page } },
      logout: 'GET /logout',
      operations: { start: { request: 'GET /start' } },
    })
    const secret = `\${secret:${password}}`
    const found = await this.#with(unknown('/', { password: secret }), async (application) => {
      const at = newSession()
      const shown = await this.#followed(application, at, target)
      const { path } = splitTarget(shown.target)
      // The query often names the page that the person came from.
      const bare = await this.#followed(application, at, path).catch(() => shown)
      return bare.target === path && !('fault' in loginFormIn(utf8(bare.page))) ? bare : shown
    })
    const form = loginFormIn(utf8(found.page))
    if ('fault' in form) throw failed(`${found.target}: ${form.fault}`)
    await this.#watched(found, [form.user.name, form.password, ...form.further.map(([name]) => name)])
    if (form.user.isGuessed) this.#guess(['login', 'fields', form.user.name], 'the field for the name of the account')
    for (const [name] of form.further) this.#guess(['login', 'fields', name], 'a browser sends it too')
    if (form.left.length > 0) this.#notes.push(`Left out of the login form, as a person may: ${form.left.join(', ')}`)
    const fields = { ...Object.fromEntries(form.further), [form.user.name]: user, [form.password]: secret }
    const draft = unknown(found.target, fields)
    return form.called === undefined ? draft : { ...draft, login: { ...draft.login, form: form.called } }
  }

  /** Compares what a browser sends with what the gateway will send, before the gateway uses the account. */
  async #watched({ page, target }: Shown, typed: readonly string[]): Promise<void> {
    const { watch } = this.#options
    if (watch === undefined) return
    const seen = await watch(`${this.#origin}${target}`)
    if (seen === undefined) throw failed('a browser shows no login form here: a script replaces it')
    if (seen.sent === undefined)
      throw failed('a browser sends no form here: a script logs in by itself, and the gateway runs no scripts')
    const hidden = loginFormOf(page.text, undefined)?.hidden.map(([name]) => name) ?? []
    const further = seen.sent.filter((name) => !typed.includes(name) && !hidden.includes(name))
    if (further.length > 0)
      this.#notes.push(
        `A browser also sends ${further.join(', ')}, which a script adds. If the login needs it, write it into fields`,
      )
    const landing = URL.parse(seen.landing)
    if (landing?.origin === this.#origin) this.#landing = `${landing.pathname}${landing.search}`
  }

  /** Completes the draft by what is shown after the login. */
  async #inside(
    draft: Draft,
    at: LoggedIn,
    { application, page, target }: Shown & { application: Application },
  ): Promise<Draft> {
    const { signal } = this.#options
    const text = utf8(page)
    const told = innerPage(text)
    const below = (address: string) => {
      const there = URL.parse(address, `${this.#origin}${target}`)
      if (there?.origin !== this.#origin) return undefined
      // A token of this session must not be in the recipe: the gateway sends the one of its own.
      for (const name of tokensIn(there)) there.searchParams.delete(name)
      return `${there.pathname}${there.search}`
    }
    const stranger = newSession()
    const outside = await application.send(stranger, { method: 'GET', target }, signal)
    const outer = await application.read(outside)
    const isClosed = outside.status !== 200 || application.isLogin(outer)
    const lost = lostBy(outside, draft.login.page)

    const leave = told.logout && below(told.logout.address)
    if (told.logout === undefined || leave === undefined)
      this.#guess(['logout'], `${target} shows no log-out. Look how a person leaves, and write it here`)
    const shown = [told.logout?.shows, told.logout?.address].find(
      (each) =>
        each !== undefined &&
        each !== '' &&
        each.length <= 200 &&
        !hasToken(each) &&
        text.includes(each) &&
        !utf8(outer).includes(each),
    )
    if (shown === undefined && !isClosed)
      this.#guess(['login', 'success', 'page'], 'people who are not logged in see this page too')
    const cookie = await this.#sessionCookie(application, at, target)
    if (cookie === undefined) this.#notes.push('No single cookie is the session, so the recipe names none')

    const token = tokenOf(told.token, target)
    if (told.token !== undefined && 'meta' in told.token)
      this.#guess(['token', 'header'], 'the usual name. Look which one the scripts of the application send')
    if (token === undefined)
      this.#notes.push(`${target} shows no token against forged requests. If a form has one, write it as token`)
    const closed = [...new Set(told.closed.map(below).filter((each) => each !== undefined))].map((each) =>
      splitTarget(each).path.replace(/(.)\/$/, '$1'),
    )
    for (const n of closed.keys()) this.#guess(['closed', String(n)], 'its name says that it changes how one logs in')
    this.#guess(['operations', 'start', 'request'], 'an example. Name the pages that agents may use')
    return {
      ...draft,
      login: {
        ...draft.login,
        success: {
          ...(cookie === undefined ? {} : { cookie }),
          ...{ page: target },
          ...(shown === undefined ? {} : { shows: shown }),
        },
      },
      ...(leave === undefined || told.logout === undefined ? {} : { logout: `${told.logout.method} ${leave}` }),
      ...(token === undefined ? {} : { token }),
      ...(lost === undefined ? {} : { lost }),
      ...(closed.length === 0 ? {} : { closed }),
      operations: { start: { request: `GET ${splitTarget(target).path}` } },
    }
  }

  /** The one cookie with which, and with no other, the application knows the person. */
  async #sessionCookie(application: Application, at: LoggedIn, target: string): Promise<string | undefined> {
    const url = application.urlOf(target)
    for (const name of at.jar.names.slice(0, mostCandidates)) {
      const value = at.jar.valueOf(name, url)
      if (value === undefined) continue
      const alone = newSession()
      alone.jar.keep(['set-cookie', `${name}=${value}; Path=/`], url)
      const seen = await application.send(alone, { method: 'GET', target }, this.#options.signal)
      const page = await application.read(seen)
      if (seen.status === 200 && !application.isLogin(page)) {
        // A page that strangers see too tells nothing of a cookie.
        const none = await application.send(newSession(), { method: 'GET', target }, this.#options.signal)
        const open = await application.read(none)
        if (none.status !== 200 || application.isLogin(open)) return name
      }
    }
    return undefined
  }

  /** Logs in by the recipe, and out, and looks whether the session is over. */
  async #prove(application: Application): Promise<void> {
    const { signal } = this.#options
    const at = await application.logIn(signal, () => undefined)
    await application.logOut(at, signal)
    const { page: target = '/' } = application.entry.login.success
    const seen = await application.send(at, { method: 'GET', target }, signal)
    const page = await application.read(seen)
    if (application.isLost(seen) || application.isLogin(page) || seen.status !== 200)
      this.#notes.push('The gateway logged in by this recipe, and out')
    else {
      this.#notes.push('The gateway logged in by this recipe. It could not tell whether its log-out works')
      if (!this.#guesses.some(({ path: [first] }) => first === 'logout'))
        this.#guess(['logout'], 'the page of success was still there afterwards')
    }
  }

  async #settled(application: Application, at: LoggedIn, answered: Seen): Promise<Shown> {
    if (answered.redirect !== undefined) {
      void answered.body.return?.()
      return this.#followed(application, at, answered.redirect)
    }
    const page = await application.read(answered)
    if (application.isLogin(page) || application.asksForFactor(page)) return { page, target: '/' }
    if (answered.status >= 400) throw failed(`the application answered the login with ${answered.status}`)
    // A script, or a tag that loads another page, leads on.
    return this.#followed(application, at, this.#landing ?? '/')
  }

  /** Gets a page, and those to which it redirects. */
  async #followed(application: Application, at: LoggedIn, from: string): Promise<Shown> {
    let target = from
    for (let n = 0; n <= mostRedirects; n++) {
      const seen = await application.send(at, { method: 'GET', target }, this.#options.signal)
      if (seen.redirect === undefined) {
        if (seen.status !== 200) throw failed(`${splitTarget(target).path} was answered with ${seen.status}`)
        return { page: await application.read(seen), target }
      }
      void seen.body.return?.()
      target = seen.redirect
    }
    throw failed('too many redirects')
  }
}

/** A page, and where it is. */
interface Shown {
  readonly page: Page
  readonly target: string
}

const newSession = (): LoggedIn => ({ jar: new Jar(), secrets: new Set(), tokens: [] })
const failed = (detail: string) => new ServiceError('session_login_failed', detail)
/** Whether an address, or another text, names a parameter of its query that holds a token of this session. */
const hasToken = (text: string): boolean =>
  tokensIn({ searchParams: new URLSearchParams(text.split('?')[1]) }).length > 0
const tokensIn = ({ searchParams }: Pick<URL, 'searchParams'>): string[] =>
  [...searchParams.keys()].filter(looksLikeToken)
/** The gateway reads pages as Latin-1, which keeps every byte. */
const utf8 = ({ text }: Page): string => Buffer.from(text, 'latin1').toString()

/** How the application shows a stranger that a page is not for them, if it is not by the login page or by 401. */
function lostBy({ status, redirect }: Seen, login: string): Draft['lost'] {
  if (redirect === undefined) return [403, 419, 440].includes(status) ? { status: [401, status] } : undefined
  const { path } = splitTarget(redirect)
  return path === splitTarget(login).path ? undefined : { paths: [path] }
}

function tokenOf(
  found: { readonly input: string } | { readonly meta: string } | undefined,
  page: string,
): Draft['token'] {
  if (found === undefined) return undefined
  return 'input' in found
    ? { input: found.input, page, field: found.input }
    : { meta: found.meta, page, header: 'X-CSRF-Token' }
}
