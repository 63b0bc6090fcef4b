import { ServiceError } from '@bailiwick/errors'
import { fieldsOf } from '@bailiwick/kit'
import type { RawHeaders } from '@bailiwick/relay'
import { CookieJar } from 'tough-cookie'

/** The most that one application may keep in one session: a hostile application must not fill the memory (V18). */
const [mostCookies, longestField] = [100, 16_384]

/** The cookies of one login. The application alone sets them, and nothing but requests to it shows them. */
export class Jar {
  readonly #jar = new CookieJar()

  /** Keeps what an answer sets. `url`: of its request. */
  keep(headers: RawHeaders, url: string): void {
    for (const text of fieldsOf(headers, 'set-cookie').slice(0, mostCookies))
      this.#jar.setCookieSync(text, url, { ignoreError: true })
    if (this.#all.length > mostCookies || this.fieldFor(url).length > longestField)
      throw new ServiceError('upstream_failed', 'the application sets too many cookies')
  }

  fieldFor(url: string): string {
    return this.#jar.getCookieStringSync(url)
  }

  valueOf(name: string, url: string): string | undefined {
    return this.#jar.getCookiesSync(url).find(({ key }) => key === name)?.value
  }

  /** Whether the application has set a cookie of this name, for whichever of its paths. */
  has(name: string): boolean {
    return this.#all.some(({ key }) => key === name)
  }

  /** The names of all cookies. */
  get names(): string[] {
    return [...new Set(this.#all.map(({ key }) => key ?? ''))]
  }

  /** Values of cookies that an answer must not show. A short one that scripts may read is a setting, such as a language. */
  get secrets(): readonly string[] {
    const meant = this.#all.filter(({ value = '', httpOnly }) => value.length >= (httpOnly === true ? 8 : 16))
    return [...new Set(meant.flatMap(({ value = '' }) => [value, ...unescaped(value)]))]
  }

  get #all() {
    return this.#jar.serializeSync()?.cookies ?? []
  }
}

function unescaped(value: string): string[] {
  try {
    return [decodeURIComponent(value)]
  } catch {
    return []
  }
}
