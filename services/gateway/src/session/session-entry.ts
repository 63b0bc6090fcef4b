import { fold } from '@bailiwick/kit'
import { checkPath, readQuery, secretsIn, splitTarget } from '@bailiwick/relay'
import { z } from 'zod'
import { address, fieldName, serverId, template } from '../file-members.ts'
import { checkShapes, operation, operationName } from '../proxy/api-entry.ts'
import { looksLikePassword } from './field-names.ts'

/** A path below `url`, with the query that belongs to it. */
const place = z
  .string()
  .max(1024)
  .refine(
    (text) => checkPath(text) === undefined && !('refused' in readQuery(text)),
    'expected a path below url, such as /login',
  )
/** The name of a field of a form. */
const formField = z.string().regex(/^[A-Za-z0-9_.[\]:-]{1,100}$/, 'expected the name of a field of a form')
const exactlyOne = (members: object, names: readonly string[]): boolean =>
  names.filter((name) => name in members).length === 1

const login = z.strictObject({
  /** The page with the form. */
  page: place,
  /** The form's `id` or `name`; the only form with a password field if left out. */
  form: z.string().min(1).max(200).optional(),
  /** The values that the gateway types in. An answer that shows a secret is withheld, so write the account's name as plain text. */
  fields: z
    .record(formField, template)
    .refine((fields) => Object.values(fields).some((each) => secretsIn(each).length > 0), {
      message: 'expected a field with ${secret:…}',
    }),
  /** The signs of a login that worked. Every sign that is named must be there. */
  success: z
    .strictObject({
      /** A cookie that the application sets for those who are logged in. */
      cookie: z.string().min(1).max(200).optional(),
      /** A page that only they see, … */
      page: place.optional(),
      /** … and a text on it. */
      shows: z.string().min(1).max(200).optional(),
    })
    .refine(({ cookie, page }) => cookie !== undefined || page !== undefined, 'expected cookie or page')
    .refine(({ page, shows }) => shows === undefined || page !== undefined, 'shows needs a page'),
})

/** The application's token against forged requests: where it is found, and how it is sent with each request that changes something. */
const token = z
  .strictObject({
    /** A hidden input of the page, … */
    input: formField.optional(),
    /** … the content of a `<meta>` of this name, … */
    meta: z.string().min(1).max(100).optional(),
    /** … a member of its JSON, … */
    json: z.string().min(1).max(100).optional(),
    /** … or a cookie, without a page. */
    cookie: z.string().min(1).max(200).optional(),
    /** The page; that of the request's own path if left out. */
    page: place.optional(),
    /** The field of the form that it is sent in, … */
    field: formField.optional(),
    /** … or the header field. */
    header: fieldName.optional(),
  })
  .refine(
    (members) => exactlyOne(members, ['input', 'meta', 'json', 'cookie']),
    'expected one of input, meta, json and cookie',
  )
  .refine((members) => exactlyOne(members, ['field', 'header']), 'expected field or header')
  .refine(({ cookie, page }) => cookie === undefined || page === undefined, 'a cookie needs no page')
export type TokenEntry = z.output<typeof token>

const sessionOperation = operation
  .safeExtend({
    /** The statuses that say that it was done. Without it: all below 400. */
    done: z.array(z.int().min(200).max(399)).min(1).max(16).optional(),
    /** The only values of a parameter, by its name. Required for each by which the application chooses a page that agents may not use. */
    values: z.record(formField, z.array(z.string().max(1024)).min(1).max(64)).default({}),
  })
  .superRefine(({ request, websocket, query, body, values }, context) => {
    if (websocket) context.addIssue('an application with a session has no WebSockets here')
    if (body !== undefined && 'opaque' in body) context.addIssue('expected form or json: files are not passed on')
    const names = body === undefined ? [] : Object.values(body).flat()
    if (names.includes('any')) context.addIssue('expected the names of the fields, not any')
    const unknown = Object.keys(values).find((name) => ![...query, ...names, ...inPath(request)].includes(name))
    if (unknown !== undefined) context.addIssue(`values: the operation does not take ${unknown}`)
    const password = [...query, ...names].find(looksLikePassword)
    if (password !== undefined) context.addIssue(`${password} looks like a password, which no agent sets`)
  })
export type SessionOperation = z.output<typeof sessionOperation>

/** The names of the parameters in the path. */
const inPath = ({ segments }: SessionOperation['request']): string[] =>
  segments.flatMap((each) => ('value' in each ? [each.value] : []))

const logout = z.string().transform((text, context) => {
  const [, method = '', target = ''] = /^(GET|POST) (\/\S*)$/.exec(text) ?? []
  if (place.safeParse(target).success) return { method, target }
  context.addIssue('expected a method and a path, such as POST /logout')
  return z.NEVER
})

/** A web application that knows people alone, at `/session/<name>/`: the gateway logs in with a service account. */
export const sessionEntry = z
  .strictObject({
    /** Requests go below it. */
    url: address.refine((url) => !url.includes('?'), 'expected a URL without a query'),
    /** Whether the name in the address may lead to private addresses, as in a cluster. An address itself may. */
    private: z.boolean().default(false),
    login,
    /** How the session ends in the application, when its grant ends. */
    logout,
    token: token.optional(),
    /** The signs, besides the login page itself, that the session is over. */
    lost: z
      .strictObject({
        status: z.array(z.int().min(400).max(499)).max(8).default([401]),
        paths: z.array(place).max(16).default([]),
      })
      .prefault({}),
    /** The signs, besides the usual fields, that the application asks for a second factor. */
    mfa: z
      .strictObject({ paths: z.array(place).max(16).default([]), fields: z.array(formField).max(16).default([]) })
      .prefault({}),
    /** Pages that no agent may use, with everything below them, such as the page for a new password. */
    closed: z.array(place).max(64).default([]),
    /** The tool server's name in the registry; the name of this entry if left out. */
    server: serverId.optional(),
    operations: z.record(operationName, sessionOperation).superRefine(checkShapes),
  })
  .superRefine(({ operations, token: sent, ...pages }, context) => {
    const reserved = reservedPlaces(pages)
    const choosing = new Set(reserved.flatMap(({ query }) => Object.keys(query).map(fold)))
    const typedIn = Object.entries(pages.login.fields)
    const secretFields = new Set(typedIn.flatMap(([field, text]) => (secretsIn(text).length > 0 ? [field] : [])))
    for (const [name, { request, query, body, values }] of Object.entries(operations)) {
      const fields = [...query, ...(body === undefined ? [] : Object.values(body).flat())]
      if (sent?.field !== undefined && fields.some((each) => fold(each) === fold(sent.field ?? '')))
        context.addIssue(`${name}: the gateway itself fills in ${sent.field}`)
      const typed = fields.find((each) => secretFields.has(each))
      if (typed !== undefined) context.addIssue(`${name}: the gateway itself types in ${typed}`)
      if (sent?.field !== undefined && body !== undefined && 'json' in body)
        context.addIssue(`${name}: a token in a field needs a form`)
      // An application may take a parameter of its query in the path too.
      const taken = [...fields, ...inPath(request)]
      const open = taken.find((each) => choosing.has(fold(each)) && !Object.hasOwn(values, each))
      if (open !== undefined) context.addIssue(`${name}: ${open} chooses a page here, so its values must be named`)
      const given = new Map(Object.entries(values).map(([field, texts]) => [fold(field), texts.map(fold)]))
      const chooses = reserved.some(({ query: kept }) => {
        const pairs = Object.entries(kept)
        return pairs.length > 0 && pairs.every(([field, text]) => given.get(fold(field))?.includes(fold(text)))
      })
      const isFixed = request.segments.every((segment) => 'text' in segment)
      if (chooses || (isFixed && isReserved(reserved, request.text.split(' ')[1] ?? '')))
        context.addIssue(`${name}: the gateway itself uses this page`)
    }
  })
export type SessionEntry = z.output<typeof sessionEntry>

/** A page that the gateway keeps for itself. */
interface ReservedPlace {
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  /** Whether pages below it are included. */
  readonly below: boolean
}

type Pages = Pick<SessionEntry, 'login' | 'logout' | 'mfa' | 'closed' | 'lost'>

export function reservedPlaces({ login, logout, mfa, closed, lost }: Pages): readonly ReservedPlace[] {
  const placeOf = (target: string, below: boolean): ReservedPlace => {
    const query = readQuery(target)
    return { path: plain(target), query: 'refused' in query ? {} : query.parameters, below }
  }
  return [
    ...[login.page, logout.target, ...lost.paths].map((each) => placeOf(each, false)),
    ...[...mfa.paths, ...closed].map((each) => placeOf(each, true)),
  ]
}

/** A path without case, escapes and a slash at the end, as some servers compare paths. */
const plain = (target: string): string => {
  const { path } = splitTarget(target)
  return fold(decodeURIComponent(path)).replace(/\/+$/, '')
}

/**
 * Whether a path is that of a page that the gateway keeps for itself. A page that is chosen by a parameter is kept by `values`: applications
 * read too many spellings of one value.
 */
export function isReserved(reserved: readonly ReservedPlace[], target: string): boolean {
  const path = plain(target)
  return reserved.some(({ path: kept, query, below }) => {
    if (Object.keys(query).length > 0) return false
    // Servers take `/logout/x`, `/logout.json` and `/logout;x` for `/logout`, and drop dots and spaces at the end.
    return (
      path === kept || (kept === '' ? below : ['/', '.', ';', ' '].some((sign) => path.startsWith(`${kept}${sign}`)))
    )
  })
}
