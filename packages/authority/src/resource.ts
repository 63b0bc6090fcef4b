/** What a permission is for: one resource by its `id`, or every resource below an `id_prefix`. Exactly one of the two. */
export interface ResourceScope {
  readonly type: string
  readonly id?: string
  readonly id_prefix?: string
}

/**
 * The only form in which a URL can be under a prefix: `scheme://host[:port]/segment/segment`, lower-case scheme and host, no user, query or
 * fragment. It contains only what every server reads alike. No `%`, because only the server knows how often it is decoded (`%2e%2e`,
 * `%252e`, overlong UTF-8); no `\`, which some read as `/`; no `;`, at which some cut (`..;/`); no empty segment, which some collapse.
 */
const urlText =
  /^[a-z][a-z0-9+.-]*:\/\/(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::[1-9][0-9]{0,4})?(?:\/[A-Za-z0-9_.~!$&'()*+,=:@-]+)*\/?$/

/** `.` and `..`, and longer runs, on which old Windows servers climb; with or without parameters after them. */
const dotSegment = /(?:^|[/])\.+(?:[/;?#]|$)/

/** An encoded dot, slash, backslash, percent or control character: each turns into part of a path only later. */
const encodedTrick = /%(?:2e|2f|5c|25|7f|[01][0-9a-f])/i

/** Visible ASCII without backslash: nothing invisible, nothing that looks like something else. */
const visibleText = /^[!-[\]-~]+$/

/**
 * Whether an id may be in a permission on its own. It is compared as a whole, so nothing escapes from it; refused ids are those that would
 * deceive a human reader, such as `https://erp.example/invoices/../admin`.
 */
export function isResourceId(id: string): boolean {
  return visibleText.test(id) && !dotSegment.test(id) && !encodedTrick.test(id)
}

/** Whether a text may be an `id_prefix`: a URL in normal form, from its origin to a final `/`. */
export function isIdPrefix(text: string): boolean {
  return text.endsWith('/') && isUrlInNormalForm(text)
}

/**
 * Whether `scope` covers a resource. Under a prefix only an id in normal form counts: for such ids, and no others, "starts with" and "lies
 * below" are the same.
 */
export function holdsResource(scope: ResourceScope, resource: { readonly type: string; readonly id: string }): boolean {
  if (scope.type !== resource.type) return false
  if (scope.id !== undefined) return scope.id_prefix === undefined && scope.id === resource.id
  return scope.id_prefix !== undefined && liesBelow(resource.id, scope.id_prefix)
}

/** Whether `parent` covers every resource that `child` covers. */
export function withinResource(child: ResourceScope, parent: ResourceScope): boolean {
  if (child.id !== undefined) return holdsResource(parent, { type: child.type, id: child.id })
  return (
    child.type === parent.type &&
    child.id_prefix !== undefined &&
    parent.id === undefined &&
    parent.id_prefix !== undefined &&
    liesBelow(child.id_prefix, parent.id_prefix)
  )
}

function liesBelow(id: string, prefix: string): boolean {
  return isIdPrefix(prefix) && isUrlInNormalForm(id) && id.startsWith(prefix)
}

function isUrlInNormalForm(text: string): boolean {
  return text.length <= 2048 && urlText.test(text) && !dotSegment.test(text)
}
