export { parseJson } from './parse-json.ts'
export { JsonMalformed, parseStrictJson } from './parse-strict-json.ts'
export { readStrictJson, readStrictJsonText, type StrictJson, type StrictJsonOptions } from './strict-json.ts'
