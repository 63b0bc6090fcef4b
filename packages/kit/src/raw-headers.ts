/** Names and values alternate, as received. A field that comes twice stands here twice, in order. */
export type RawHeaders = readonly string[]

/** All values of a field, in order. */
export const fieldsOf = (headers: RawHeaders, name: string): string[] =>
  headers.filter((_, at) => at % 2 === 1 && headers[at - 1]?.toLowerCase() === name)
