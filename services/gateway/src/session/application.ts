import { errorCode, ServiceError } from '@bailiwick/errors'
import { fieldsOf, GatheredBytes } from '@bailiwick/kit'
import { fieldOf, fillTemplate, type RawHeaders, type SecretPort, secretsIn, splitTarget } from '@bailiwick/relay'
import type { HttpSender } from '../servers/http-sender.ts'
import { Jar } from './jar.ts'
import { asksForSecondFactor, isLoginPage, loginFormOf, type Tag, tagsOf, valueIn } from './page.ts'
import type { SessionEntry } from './session-entry.ts'

/** A login that worked. */
export interface LoggedIn {
  readonly jar: Jar
  /** The secrets that were typed in, and the last tokens that were sent: no answer may show them. */
  readonly secrets: Set<string>
  readonly tokens: string[]
}

/** A field of the login. `values`: the secrets in its text. */
interface Typed {
  readonly name: string
  readonly text: string
  readonly values: readonly string[]
}

/** A request of the session. */
interface Asked {
  method: string
  /** Below the application's URL. */
  target: string
  headers?: RawHeaders
  body?: Uint8Array
}

/** The head of an answer, and where a redirect leads. */
export interface Seen {
  readonly status: number
  readonly headers: RawHeaders
  readonly body: AsyncIterableIterator<Uint8Array>
  /** Below the application's URL; undefined for no redirect, or one to another part of its host. */
  readonly redirect: string | undefined
}

export interface Page {
  readonly text: string
  readonly tags: readonly Tag[]
  /** Whether a browser would show its tags as such: no login is asked for in JSON or plain text. */
  readonly isHtml: boolean
}

const form = 'application/x-www-form-urlencoded'
/** The longest page that is read by the gateway itself, or held for an agent, in bytes. */
const longestPage = 4 * 1024 * 1024
const mostTokens = 8
/** The search for a token takes longer with its length (V18). */
export const longestToken = 4096

/** Speaks with one application as its recipe says. It holds no state: that is in the `LoggedIn` of each session. */
export class Application {
  readonly entry: SessionEntry
  readonly #sender: Pick<HttpSender, 'send'>
  readonly #secrets: Pick<SecretPort, 'read' | 'doubt'>
  readonly #base: string

  constructor(entry: SessionEntry, sender: Pick<HttpSender, 'send'>, secrets: Pick<SecretPort, 'read' | 'doubt'>) {
    this.entry = entry
    this.#sender = sender
    this.#secrets = secrets
    this.#base = entry.url.replace(/\/$/, '')
  }

  /**
   * Begins a session, with no cookie of an earlier one. Calls `begun` before it uses the account. If the application refuses a password that
   * has been rotated since it was read, it gets the new one.
   */
  async logIn(signal: AbortSignal, begun: (at: LoggedIn) => void): Promise<LoggedIn> {
    const typed = await this.#typed()
    try {
      return await this.#logInWith(typed, signal, begun)
    } catch (error) {
      if (errorCode(error) !== 'session_login_failed') throw error
      for (const reference of Object.values(this.entry.login.fields).flatMap(secretsIn)) this.#secrets.doubt(reference)
      const now = await this.#typed()
      if (now.every(({ text }, n) => text === typed[n]?.text)) throw error
      return this.#logInWith(now, signal, begun)
    }
  }

  /** The fields of the login, with secrets filled in. */
  #typed(): Promise<Typed[]> {
    const fields = Object.entries(this.entry.login.fields)
    return Promise.all(
      fields.map(async ([name, template]) => ({ name, ...(await fillTemplate(template, this.#secrets)) })),
    )
  }

  async #logInWith(typed: readonly Typed[], signal: AbortSignal, begun: (at: LoggedIn) => void): Promise<LoggedIn> {
    const at: LoggedIn = { jar: new Jar(), secrets: new Set(), tokens: [] }
    await this.#checkLogin(at, await this.#submit(at, typed, signal, begun), signal)
    return at
  }

  /** Fills in the form of the login page and sends it. Does not look whether that worked. */
  async submitLogin(at: LoggedIn, signal: AbortSignal, begun: (at: LoggedIn) => void): Promise<Seen> {
    return this.#submit(at, await this.#typed(), signal, begun)
  }

  async #submit(
    at: LoggedIn,
    typed: readonly Typed[],
    signal: AbortSignal,
    begun: (at: LoggedIn) => void,
  ): Promise<Seen> {
    const { login } = this.entry
    const shown = await this.#page(at, login.page, signal, 'the login page')
    const found = loginFormOf(shown.text, login.form)
    if (found === undefined) throw failed('the login page does not have the form')
    const action = this.#below(found.action ?? '', login.page)
    if (action === undefined) throw failed('the form of the login page leads elsewhere')
    for (const value of typed.flatMap(({ values }) => values)) at.secrets.add(value)
    const hidden = found.hidden.filter(([name]) => !Object.hasOwn(login.fields, name))
    const body = Buffer.from(
      new URLSearchParams([
        ...hidden.map(([name, value]) => [name, value]),
        ...typed.map(({ name, text }) => [name, text]),
      ]).toString(),
    )
    begun(at)
    return this.send(at, { method: 'POST', target: action, headers: this.#ofForm(login.page), body }, signal)
  }

  async #checkLogin(at: LoggedIn, answered: Seen, signal: AbortSignal): Promise<void> {
    const { page, shows, cookie } = this.entry.login.success
    if (this.redirectsToFactor(answered)) throw giveUp(answered, mfaRequired())
    if (answered.redirect === undefined || answered.status === 200) {
      const read = await this.read(answered)
      if (this.asksForFactor(read)) throw mfaRequired()
      if (this.isLogin(read)) throw failed('the application shows its login page again')
      if (answered.status >= 400) throw failed(`the application answered ${answered.status}`)
    } else void answered.body.return?.()
    if (cookie !== undefined && !at.jar.has(cookie)) throw failed('the application set no cookie of that name')
    // A redirect may lead to the page for a code by itself.
    const next = page ?? answered.redirect
    if (next === undefined) return
    const seen = await this.send(at, { method: 'GET', target: next }, signal)
    if (this.redirectsToFactor(seen)) throw giveUp(seen, mfaRequired())
    if (this.isLost(seen)) throw giveUp(seen, failed('the application shows its login page again'))
    const read = await this.read(seen)
    if (this.asksForFactor(read)) throw mfaRequired()
    if (this.isLogin(read)) throw failed('the application shows its login page again')
    if (page === undefined) return
    if (seen.status !== 200) throw failed(`the page of success was answered with ${seen.status}`)
    if (shows !== undefined && !read.text.includes(Buffer.from(shows).toString('latin1')))
      throw failed('the page of success does not show its text')
  }

  /** Ends the session in the application. Never rejects: the jar is gone in any case. */
  async logOut(at: LoggedIn, signal: AbortSignal): Promise<void> {
    const { method, target } = this.entry.logout
    try {
      const token = await this.tokenFor(at, { method, target }, signal)
      const asked = token === 'lost' ? undefined : withToken({ method, target, headers: this.#ofForm(target) }, token)
      if (asked !== undefined) void (await this.send(at, asked, signal)).body.return?.()
    } catch {
      // An application that is away ends the session by its own clock.
    }
  }

  /** The token that a request needs; `lost` if the application shows its login page instead. Throws `session_token_missing`. */
  async tokenFor(
    at: LoggedIn,
    { method, target }: Asked,
    signal: AbortSignal,
  ): Promise<SentToken | undefined | 'lost'> {
    const { token, logout } = this.entry
    if (token === undefined || (isRead(method) && target !== logout.target)) return undefined
    const value =
      token.cookie === undefined
        ? await this.#tokenOn(at, target, signal)
        : at.jar.valueOf(token.cookie, this.urlOf(target))
    if (value === 'lost') return 'lost'
    if (value === undefined || value === '' || value.length > longestToken)
      throw new ServiceError('session_token_missing')
    if (!at.tokens.includes(value)) at.tokens.push(value)
    at.tokens.splice(0, at.tokens.length - mostTokens)
    return {
      value,
      ...(token.field === undefined ? {} : { field: token.field }),
      ...(token.header === undefined ? {} : { header: token.header }),
    }
  }

  async #tokenOn(at: LoggedIn, target: string, signal: AbortSignal): Promise<string | undefined> {
    const { token } = this.entry
    const page = token?.page ?? splitTarget(target).path
    const seen = await this.send(at, { method: 'GET', target: page }, signal)
    if (this.isLost(seen)) {
      void seen.body.return?.()
      return 'lost'
    }
    const read = await this.read(seen)
    if (this.isLogin(read)) return 'lost'
    const { text, tags } = read
    if (token?.input !== undefined) return valueIn(tags, 'input', token.input)
    return token?.meta !== undefined ? valueIn(tags, 'meta', token.meta) : memberOf(text, token?.json ?? '')
  }

  /** Sends one request with the cookies of the session, and keeps those that its answer sets. Refuses a redirect to another origin. */
  async send(
    at: LoggedIn,
    { method, target, headers = [], body = new Uint8Array() }: Asked,
    signal: AbortSignal,
  ): Promise<Seen> {
    const url = this.urlOf(target)
    const cookie = at.jar.fieldFor(url)
    const answered = await this.#sender.send(
      {
        method,
        below: target,
        headers: [
          ...headers,
          'user-agent',
          'Mozilla/5.0 (compatible; Bailiwick)',
          ...(cookie === '' ? [] : ['cookie', cookie]),
        ],
        body,
      },
      signal,
    )
    try {
      at.jar.keep(answered.headers, url)
      const { status } = answered
      const locations = fieldsOf(answered.headers, 'location')
      if (status < 300 || status >= 400 || status === 304) return { ...answered, redirect: undefined }
      const [location] = locations
      if (location === undefined || locations.length > 1) throw new ServiceError('upstream_redirected')
      const there = URL.parse(location, url)
      if (there === null || there.origin !== new URL(url).origin) throw new ServiceError('upstream_redirected')
      return { ...answered, redirect: this.#below(location, target) }
    } catch (error) {
      void answered.body.return?.()
      throw error
    }
  }

  /** The whole page, as Latin-1 for its bytes. */
  async read({ body, headers }: Pick<Seen, 'body' | 'headers'>): Promise<Page> {
    const type = fieldOf(headers, 'content-type') ?? ''
    const [, charset = 'utf-8'] = /charset\s*=\s*["']?([^\s"';,]+)/i.exec(type) ?? []
    if (!/^(?:utf-?8|us-ascii|iso-8859-\d+|windows-125\d)$/i.test(charset)) {
      void body.return?.()
      throw unreadable()
    }
    const gathered = new GatheredBytes()
    for await (const chunk of body) {
      if (gathered.length + chunk.length > longestPage)
        throw new ServiceError('answer_withheld', 'a page that is too long to be read')
      gathered.push(chunk)
    }
    const text = gathered.bytes().toString('latin1')
    // A reader may recognise UTF-16 by itself.
    if (text.includes('\0') || /^(?:\xfe\xff|\xff\xfe)/.test(text)) throw unreadable()
    const isHtml = /^\s*(?:(?:text\/html|application\/xhtml\+xml)\s*(?:;|$)|$)/i.test(type)
    return { text, tags: tagsOf(text), isHtml }
  }

  /** Whether the head of an answer shows that the session is over. */
  isLost({ status, redirect }: Pick<Seen, 'status' | 'redirect'>): boolean {
    const { lost, login } = this.entry
    if (lost.status.includes(status)) return true
    return redirect !== undefined && [login.page, ...lost.paths].some((page) => leadsTo(redirect, page))
  }

  /** Whether a page is the login page, also at another address. */
  isLogin({ tags, isHtml }: Page): boolean {
    return isHtml && isLoginPage(tags, Object.keys(this.entry.login.fields))
  }

  asksForFactor({ tags, isHtml }: Page): boolean {
    return isHtml && asksForSecondFactor(tags, this.entry.mfa.fields)
  }

  /** Whether a redirect leads to the page for a code. */
  redirectsToFactor({ redirect }: Pick<Seen, 'redirect'>): boolean {
    return redirect !== undefined && this.entry.mfa.paths.some((page) => leadsTo(redirect, page))
  }

  urlOf(target: string): string {
    return `${this.#base}${target}`
  }

  /** The fields of a form that a browser sends: applications compare where it comes from with their own address. */
  #ofForm(page: string): RawHeaders {
    return ['content-type', form, ...this.ofBrowser(page)]
  }

  ofBrowser(page: string): RawHeaders {
    const { origin } = new URL(this.#base)
    return ['origin', origin, 'referer', `${this.#base}${splitTarget(page).path}`]
  }

  async #page(at: LoggedIn, target: string, signal: AbortSignal, what: string): Promise<Page> {
    const seen = await this.send(at, { method: 'GET', target }, signal)
    if (seen.status === 200) return this.read(seen)
    throw giveUp(seen, failed(`${what} was answered with ${seen.status}`))
  }

  /** The path and query below the application's URL that an address on the page means; undefined if it is not below it. */
  #below(address: string, page: string): string | undefined {
    const there = URL.parse(address, this.urlOf(page))
    const base = new URL(`${this.#base}/`)
    if (there === null || there.origin !== base.origin || !`${there.pathname}/`.startsWith(base.pathname))
      return undefined
    return `${there.pathname.slice(base.pathname.length - 1) || '/'}${there.search}`
  }
}

export interface SentToken {
  readonly value: string
  readonly field?: string
  readonly header?: string
}

/** The request with its token behind it: what was decided stays as it is. */
export function withToken<A extends Asked>(asked: A, token: SentToken | undefined): A {
  if (token === undefined) return asked
  const { value, field, header } = token
  if (header !== undefined) return { ...asked, headers: [...(asked.headers ?? []), header, value] }
  const pair = `${encodeURIComponent(field ?? '')}=${encodeURIComponent(value)}`
  if (asked.method === 'GET')
    return { ...asked, target: `${asked.target}${asked.target.includes('?') ? '&' : '?'}${pair}` }
  const body = asked.body ?? new Uint8Array()
  const typed = (asked.headers ?? []).some((name, at) => at % 2 === 0 && name.toLowerCase() === 'content-type')
  return {
    ...asked,
    headers: [...(asked.headers ?? []), ...(typed ? [] : ['content-type', form])],
    body: Buffer.concat([body, Buffer.from(body.length === 0 ? pair : `&${pair}`)]),
  }
}

export const isRead = (method: string): boolean => method === 'GET' || method === 'HEAD'

/** Whether a redirect is to this page. It may add to the query. */
const leadsTo = (target: string, page: string): boolean => {
  const [to, kept] = [splitTarget(target), splitTarget(page)]
  const asked = new URLSearchParams(to.query)
  return (
    to.path.replace(/\/+$/, '') === kept.path.replace(/\/+$/, '') &&
    [...new URLSearchParams(kept.query)].every(([name, value]) => asked.get(name) === value)
  )
}

function memberOf(text: string, name: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text)
    const member =
      typeof value === 'object' && value !== null && Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined
    return typeof member === 'string' ? member : undefined
  } catch {
    return undefined
  }
}

const unreadable = () =>
  new ServiceError('answer_withheld', 'a page in a character set that cannot be read for certain')
const failed = (detail: string) => new ServiceError('session_login_failed', detail)
const mfaRequired = () => new ServiceError('session_mfa_required', 'the application asks for a second factor')

function giveUp({ body }: Pick<Seen, 'body'>, error: ServiceError): ServiceError {
  void body.return?.()
  return error
}

/** The error that an agent gets when a login failed. Nothing of the agent's request was sent. */
export function asLoginError(error: unknown): unknown {
  const code = errorCode(error)
  const isOfReaching =
    code === 'upstream_unreachable' || code === 'upstream_busy' || code === 'upstream_address_forbidden'
  if (isOfReaching || code?.startsWith('session_') || code === 'secret_unavailable') return error
  return failed(code === undefined ? 'an error' : `the login ended with ${code}`)
}
