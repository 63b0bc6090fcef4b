export {
  type Action,
  type Cost,
  type Coverage,
  type CoveringPermission,
  covers,
  coversMapped,
  namedPointers,
} from './covers.ts'
export { formatMicros, parseMicros } from './decimal.ts'
export { mayDelegateTo } from './delegates.ts'
export { describe, taskLine } from './describe.ts'
export { divide, together } from './divide.ts'
export { intersect } from './intersect.ts'
export { type Narrowing, narrows } from './narrows.ts'
export { type ParsedAuthority, parseAuthority } from './parse-authority.ts'
export { misleadingPrefix } from './path.ts'
export { lookup } from './pointer.ts'
export { type ResourceScope, withinResource } from './resource.ts'
export {
  type Authority,
  authoritySchema,
  type Budget,
  type Constraint,
  longestChain,
  type Permission,
  secondsUnit,
} from './schema.ts'
export { unseenIn } from './unseen.ts'
