import { fold } from '@bailiwick/kit'

/** Whether a parameter, field or member of this name makes frameworks (Rails, Laravel, Symfony, Express) read another method than was sent. */
export const namesMethod = (name: string): boolean => fold(name) === '_method'

/** A part of `multipart/form-data` with such a name. Only the hash of the body is decided, so it is looked for in the bytes. */
const part = /name\*?\s*=\s*(?:utf-8'[^']*')?"?\s*(?:_|%5f)method/i
export const hasMethodPart = (body: Uint8Array): boolean =>
  part.test(Buffer.from(body.buffer, body.byteOffset, body.length).toString('latin1'))
