import { errorCode, ServiceError } from '@bailiwick/errors'
import { fieldsOf, unlessAborted } from '@bailiwick/kit'
import { bodyOf, type Executed, type RelayRequest, withoutSecrets } from '@bailiwick/relay'
import { whole } from '../servers/channel.ts'
import { shownHead } from './answer-head.ts'
import {
  type Application,
  asLoginError,
  isRead,
  type LoggedIn,
  type Seen,
  type SentToken,
  withToken,
} from './application.ts'
import { cleanPage, passes } from './clean-page.ts'
import type { LoginPace } from './login-pace.ts'

export interface AccountSessionOptions {
  application: Application
  pace: LoginPace
  /** Hidden fields that some operation takes. */
  shown: ReadonlySet<string>
  /** The address that the agent gets for a redirect; undefined if no operation is there. */
  addressOf: (target: string) => string | undefined
  /** Called once it has logged out. */
  onEnd: () => Promise<void>
}

/** The settings of one call. */
export interface CallOptions {
  /** The statuses that mean success. */
  done?: readonly number[] | undefined
  /** Whether a later step hides fields in the answer, which then must be as the application sent it. */
  mustHide?: boolean
}

/** How many sessions that seemed to be lost are logged out at the end. */
const mostLost = 16
/** How long a login, and the log-out at the end, may take. */
const [loginMs, logoutMs] = [30_000, 5000]

/**
 * The session of the service account for one holder of one grant. It logs in with the first request, and again when the application ended
 * the session: once for all requests that wait for it.
 */
export class AccountSession {
  readonly #options: AccountSessionOptions
  readonly #over = new AbortController()
  #at: LoggedIn | undefined
  #login: Promise<LoggedIn> | undefined
  /** Sessions that may exist in the application, because a login was sent for them. */
  readonly #begun = new Set<LoggedIn>()
  #ended: Promise<void> | undefined

  constructor(options: AccountSessionOptions) {
    this.#options = options
  }

  /**
   * Sends a request that was permitted. If the application shows its login page in place of the answer, a request that only reads is sent
   * again after a new login, once; of any other, and if that shows the login page again, it is not known what became of it (`session_lost`).
   */
  async send(request: RelayRequest, options: CallOptions, signal: AbortSignal): Promise<Executed> {
    const { method, target } = request
    let wasSent = false
    for (let isAgain = false; ; isAgain = true) {
      const at = await unlessAborted(this.#loggedIn(), signal).catch((error) => {
        throw wasSent && !signal.aborted ? new ServiceError('session_lost', errorCode(error)) : error
      })
      const token = await this.#tokenFor(at, request, signal)
      if (token !== 'lost') {
        const again = wasSent
        wasSent = true
        const executed = await this.#exchange(at, request, token, options, signal).catch((error) => {
          // This holds only for the second request: the first one arrived.
          throw again && errorCode(error) === 'upstream_unreachable' ? new ServiceError('session_lost') : error
        })
        if (executed !== 'lost') return executed
      }
      // A new session is kept: the application shows its login in place of this page.
      if (isAgain && token !== 'lost') throw new ServiceError('session_lost')
      if (isAgain)
        throw new ServiceError('session_login_failed', `${target.split('?')[0]} shows the login page after a login`)
      if (this.#at === at) this.#lose()
      if (token !== 'lost' && !isRead(method)) throw new ServiceError('session_lost')
    }
  }

  async #tokenFor(at: LoggedIn, { method, target }: RelayRequest, signal: AbortSignal) {
    try {
      return await this.#options.application.tokenFor(at, { method, target }, signal)
    } catch (error) {
      // The request itself was not sent.
      const code = errorCode(error)
      if (signal.aborted || code === 'session_token_missing' || code === 'upstream_unreachable') throw error
      throw new ServiceError('session_token_missing', code)
    }
  }

  async #exchange(
    at: LoggedIn,
    { method, target, headers, body }: RelayRequest,
    token: SentToken | undefined,
    options: CallOptions,
    signal: AbortSignal,
  ): Promise<Executed | 'lost'> {
    const { application } = this.#options
    // The answer may repeat a cookie that it replaces.
    const sent = at.jar.secrets
    const kept = headers.filter((_, n) => sentOn.has((headers[n - (n % 2)] ?? '').toLowerCase()))
    const from = isRead(method) ? [] : application.ofBrowser(target)
    const asked = withToken({ method, target, headers: [...kept, ...from], body }, token)
    const seen = await application.send(at, asked, signal)
    if (application.redirectsToFactor(seen)) throw gaveUp(seen, new ServiceError('session_mfa_asked'))
    if (application.isLost(seen)) {
      void seen.body.return?.()
      return 'lost'
    }
    return this.#answer(at, seen, sent, options)
  }

  async #answer(
    at: LoggedIn,
    seen: Seen,
    sent: readonly string[],
    { done, mustHide }: CallOptions,
  ): Promise<Executed | 'lost'> {
    const { application, shown, addressOf } = this.#options
    const { status } = seen
    const hidden = [...new Set([...sent, ...at.jar.secrets, ...at.secrets, ...at.tokens])]
    const head = shownHead(seen, addressOf, (text) => passes(text, hidden))
    const failed = () => done !== undefined && !done.includes(status)
    if (status >= 300 && status < 400) {
      // The body of a redirect repeats its target.
      void seen.body.return?.()
      return { status, headers: head, body: whole(new Uint8Array()), failed }
    }
    const [type, another] = fieldsOf(seen.headers, 'content-type')
    if (another !== undefined) throw gaveUp(seen, new ServiceError('answer_withheld', 'an answer of two types'))
    const { first, body } = type !== undefined && isOfAnyContent(type) ? await begun(seen.body) : { body: seen.body }
    if (type !== undefined && isBinary(type) && !isMarkup(first))
      return { status, headers: head, body: withoutSecrets(body, hidden), failed }
    const page = await application.read({ ...seen, body })
    if (application.isLogin(page)) return 'lost'
    if (application.asksForFactor(page)) throw new ServiceError('session_mfa_asked')
    const { token } = application.entry
    const named = [token?.input, token?.meta, token?.json, token?.field].filter((name) => name !== undefined)
    const clean = cleanPage(page, { shown, named, hidden })
    // Cutting may join two texts and hide a field.
    if (mustHide === true && clean !== page.text)
      throw new ServiceError('answer_withheld', 'fields must be hidden in an answer that holds tokens')
    return { status, headers: head, body: whole(Buffer.from(clean, 'latin1')), failed }
  }

  async #loggedIn(): Promise<LoggedIn> {
    if (this.#over.signal.aborted) throw new ServiceError('call_not_begun', 'the session is being ended')
    if (this.#at !== undefined) return this.#at
    this.#login ??= this.#logIn().finally(() => {
      this.#login = undefined
    })
    return this.#login
  }

  async #logIn(): Promise<LoggedIn> {
    const { application, pace } = this.#options
    const signal = AbortSignal.any([this.#over.signal, AbortSignal.timeout(loginMs)])
    try {
      const logIn = () => application.logIn(signal, (begun) => this.#begun.add(begun))
      const at = await unlessAborted(pace.run(logIn), signal)
      if (this.#over.signal.aborted) throw new ServiceError('call_not_begun', 'the session is being ended')
      this.#at = at
      return at
    } catch (error) {
      if (this.#over.signal.aborted) throw new ServiceError('call_not_begun', 'the session is being ended')
      throw asLoginError(error)
    }
  }

  /** The application has probably ended it. If not, it is logged out of at the end: requests that are on their way may still need it. */
  #lose(): void {
    this.#at = undefined
    const [oldest] = this.#begun
    if (oldest === undefined || this.#begun.size <= mostLost) return
    this.#begun.delete(oldest)
    void this.#options.application.logOut(oldest, AbortSignal.timeout(logoutMs))
  }

  /** Logs out and forgets the cookies. No request can begin any more. Never rejects, and takes a few seconds at most. */
  end(): Promise<void> {
    this.#ended ??= this.#end()
    return this.#ended
  }

  async #end(): Promise<void> {
    this.#over.abort(new ServiceError('call_not_begun', 'the session is being ended'))
    await this.#login?.catch(() => undefined)
    this.#at = undefined
    const late = AbortSignal.timeout(logoutMs)
    const leaving = [...this.#begun].map((at) => this.#options.application.logOut(at, late))
    this.#begun.clear()
    await Promise.all(leaving)
    await this.#options.onEnd()
  }
}

/** Fields of a request that describe the wanted answer and the body. All others stay here, cookies and `Referer` among them. */
const sentOn: ReadonlySet<string> = new Set(['accept', 'accept-language', 'content-type'])

/** Content that is neither a page nor text. It streams; the gateway reads everything else before it shows it. */
const isBinary = (type: string): boolean =>
  /^(?:image\/(?!svg)|audio\/|video\/|font\/|application\/(?:octet-stream|pdf|zip|gzip|x-(?:tar|bzip2|7z-compressed)|vnd\.[\w.-]+)\s*(?:;|$))/i.test(
    type,
  )

/** Types under which applications send tables for download, which are often pages or JSON. */
const isOfAnyContent = (type: string): boolean => /^application\/(?:octet-stream|vnd\.)/i.test(type)
const isMarkup = (first: Uint8Array = new Uint8Array()): boolean =>
  /^(?:\xef\xbb\xbf)?\s*[<{[]/.test(Buffer.from(first).toString('latin1'))

/** A body, of which the first part has arrived. */
async function begun(
  source: AsyncIterableIterator<Uint8Array>,
): Promise<{ first?: Uint8Array; body: AsyncIterableIterator<Uint8Array> }> {
  const first = await source.next()
  let isShown = false
  const body = bodyOf(
    async () => {
      if (isShown) return source.next()
      isShown = true
      return first
    },
    () => source.return?.(),
  )
  return first.done ? { body } : { first: first.value, body }
}

function gaveUp({ body }: Seen, error: ServiceError): ServiceError {
  void body.return?.()
  return error
}
